"""How well the router's strategies choose prefillers, by simulation: cache hits, balance, time to first token.

`shapes` (what traffic is like) → `traffic` (conversations drawn from it) → `fleet` (prefillers and their caches under a
virtual clock) → `players` (the router's own strategies, and an oracle) → `play` (one run) → `verdict` (bars) →
`python -m bench.quality` (every run, and the page's section). Chance is seeded, nothing waits, nothing is measured.
"""

from bench.quality.verdict import bars

__all__ = ["bars"]
