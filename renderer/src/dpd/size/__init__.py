"""`dpd size`: what a model takes on given GPUs, what a transfer buffer holds, and how many prefillers a decoder needs.

The path of a question: `arguments` (flags) → `asked` (manifest, config.json and flags as one `Case`) → `memory` and
`buffer` (arithmetic) → `flow` (a simulation, when a workload is given) → `advice` (what is unwise) → `report` (data) →
`tables` (text). Only `command` does any I/O. Nothing is imported before the command is asked for.
"""
