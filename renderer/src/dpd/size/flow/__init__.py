"""A discrete-event simulation of an endpoint: requests arrive, wait, are computed in steps, transferred and answered.

`trace` (what arrives) → `system` (the clock, and which way) → `engine` (steps of one engine, priced by `costs`) →
`outcome` (what it was like) → `ratio` (how many prefillers and decoders). Time is virtual, chance is seeded, no I/O.
"""
