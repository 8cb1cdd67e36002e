"""What things cost, and how that grows: processor time, latency, memory, quality. Only quick looks are tests.

A program measures and writes docs/benchmarks/NAME.json (`record`); pictures and docs/benchmarks.md are made from what
is written there and from nothing else (`page`), so they can be made again anywhere.
"""
