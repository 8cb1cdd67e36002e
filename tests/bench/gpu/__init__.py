"""Mixed traffic on one GPU: token streams while long prompts are prefilled beside them, and while they are elsewhere.

`traffic` (what comes when) → `schedule` (what a step computes) → `model` and `attention` (a step of a Llama-shaped
model, in PyTorch) → `play` (one engine under that traffic) → `mixed` (every engine in turn; raw figures) → `report`
(the page's section). Only `model`, `attention`, `play`, `check` and `mixed` need PyTorch, which is not among the
project's packages: they run where a GPU is, and what they found is kept in docs/benchmarks.
"""
