"""What long prompts do to others' tokens: the simulator's own engines, colocated and as a pair, under one traffic.

`virtual` (time that passes when nobody is busy) → `play` (engines under traffic) → `python -m bench.interference`
(every engine, the arithmetic of a step, and the page's section). The traffic is `bench.gpu.traffic`'s, which a
real GPU was given too.
"""
