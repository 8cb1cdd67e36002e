"""The page's section, from the raw figures that `mixed` stored on a machine with a GPU. Needs no PyTorch.

Usage: python -m bench.gpu.report RAW; then `python -m bench.page`.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from bench.gaps import HEAD, excerpt, lines, row
from bench.gpu.model_shape import Shape
from bench.record import Axis, Chart, Record, Table, write

COMMAND = "python -m bench.gpu.mixed RAW"
BEGIN, SECONDS = 5.0, 10.0
SHOWN = ("colocated, 2,048", "DPD, decoder")


def record(raw: dict[str, Any]) -> Record:
    """Return the section."""
    played = {name: [_ordered(each) for each in rounds] for name, rounds in raw["played"].items()}
    firsts = {name: [each["firsts"] for each in rounds] for name, rounds in raw["played"].items()}
    rows = [[f"{HEAD[0]}ms", *HEAD[1:]]]
    rows += [row(name, list(zip(played[name], firsts[name], strict=True))) for name in played]
    shown = {name: excerpt(raw["played"][name][-1]["line"], BEGIN, SECONDS) for name in SHOWN}
    return Record(
        name="gpu",
        title="Token gaps under mixed traffic, on a GPU",
        place=11,
        command=COMMAND,
        text=_text(raw),
        tables=[Table(rows), Table(_steps(raw)), Table(_costs(raw))],
        charts=[
            Chart("One stream, ten seconds", Axis("s"), Axis("ms to the next token"), shown, dots=True),
            Chart("Rare gaps", Axis("one gap in so many is longer", log=True), Axis("ms", log=True), lines(played)),
        ],
        data={name: raw[name] for name in ("seed", "seconds", "shape", "mix", "prefills", "copy", "error")},
        date=raw["date"],
        machine=f"one {raw['device']}, driver {raw['driver']}, PyTorch {raw['torch']} (CUDA {raw['cuda']})",
    )


def _text(raw: dict[str, Any]) -> list[str]:
    mix, rounds = raw["mix"], len(next(iter(raw["played"].values())))
    lengths = ", ".join(f"{each:,}" for each in mix["prompts"])
    return [
        f"Measured on one {raw['device']} in plain PyTorch: not vLLM, not two machines, not over EFA. A model of "
        "Llama 3.1 8B's shape with random weights, bf16; a KV cache of slots; steps that decode are one CUDA graph, "
        "their attention a split kernel in Triton; steps with prompt tokens in them launch kernels one by one and "
        f"use PyTorch's flash attention. Keys and values were within {100 * raw['error']:.1f} % of those computed in "
        "32 bits on the processor, whether a prompt came whole, in pieces or token by token.",
        f"The traffic is what two GPUs have to serve: {mix['streams']} streams that are always there, with contexts "
        f"of {mix['least']:,} to {mix['most']:,} tokens, and {mix['rate']:g} long prompts a second by chance "
        f"({lengths} tokens, each as likely), which then decode {mix['answer']} tokens. *Colocated* is one of two "
        "GPUs that share it evenly, with so many tokens to a step (`whole`: a prompt in one step). *DPD, decoder* is "
        "the second of a pair and has all streams and answers; its prefiller was this same GPU at another time: each "
        "prompt took what it takes alone, one after the other. What a prompt's KV costs the decoder is in it: "
        "written to a buffer from the host's memory by the copy engine beside the steps, in place of a network card, "
        "then copied to its slot within a step.",
        f"{rounds} rounds of {raw['seconds']:g} s, every engine in turn, seeds from {raw['seed']} on; gaps are of the "
        "streams that are always there. It shows what a prefill in the same step does to a token and that a decoder "
        "without prefills does not have it; it does not show what a network, LMCache or a larger model would add, "
        "nor what a better kernel for mixed steps would take off.",
    ]


def _ordered(summary: dict[str, Any]) -> list[float]:
    return [gap for gap, count in summary["gaps"] for _ in range(count)]


def _steps(raw: dict[str, Any]) -> list[list[str]]:
    """Return what a step takes by the prompt tokens in it."""
    rows = [["a step, ms", "steps", "without prompt tokens", "with prompt tokens", "prompt tokens in it"]]
    for name, rounds in raw["played"].items():
        steps = [each for summary in rounds for each in summary["steps"]]
        bare = [1e3 * seconds for seconds, _, new in steps if not new]
        mixed = [(1e3 * seconds, new) for seconds, _, new in steps if new]
        cells = (
            [f"{median(each[0] for each in mixed):.1f}", f"{median(each[1] for each in mixed):,.0f}"] if mixed else []
        )
        rows.append([name, f"{len(steps):,}", f"{median(bare):.1f}", *(cells or ["–", "–"])])
    return rows


def _costs(raw: dict[str, Any]) -> list[list[str]]:
    """Return what a prompt costs: its prefill alone, and its KV's copy within a decoder's step."""
    token = Shape(**raw["shape"]).token_bytes
    rows = [["a prompt's tokens", "prefill alone, ms", "KV, MB", "copy on the decoder, ms"]]
    for tokens in raw["prefills"]:
        size = int(tokens) * token / 1e6
        rows.append(
            [f"{int(tokens):,}", _middle(raw["prefills"][tokens]), f"{size:,.0f}", _middle(raw["copy"][tokens])]
        )
    return rows


def _middle(seconds: Sequence[float]) -> str:
    return f"{1e3 * median(seconds):.1f}"


def main() -> int:
    """Entry point."""
    write(record(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
