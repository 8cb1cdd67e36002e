"""An OpenAI-compatible engine without a GPU that keeps the hazards of disaggregated prefill.

Follow a request: `http` parses and refuses, `engine` batches and sleeps, `core` decides without I/O, `pd` moves pages
between two engines over ZeroMQ, `metrics` counts.
"""
