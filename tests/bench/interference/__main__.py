"""Last step: every engine under the traffic, seed by seed; the page's section. `python -m bench.interference`."""

import sys
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any

from bench.gaps import HEAD, excerpt, lines, row
from bench.interference.play import MIX, TIMING, TOKEN_BYTES, WHOLE, Played, colocated, pair
from bench.interference.virtual import run
from bench.record import Axis, Chart, Record, Table, write

SEEDS, SECONDS = (1, 2, 3), 60.0
BUDGETS = (512, 2048, 8192)
CONTEXT = (MIX.least + MIX.most) // 2
PROMPT = 8192
SHOWN = ("colocated, 2,048", "DPD, decoder")
BEGIN, LENGTH = 5.0, 10.0

Engines = Callable[[int, float], Coroutine[Any, Any, Played]]


def engines() -> dict[str, Engines]:
    """Return who is compared: one of two engines that share the traffic, and the decoder of a pair with all of it."""
    quiet, half = replace(MIX, rate=0.0), MIX.half()
    shared = {
        f"colocated, {budget:,}": lambda seed, seconds, budget=budget: colocated(half, budget, seed, seconds)
        for budget in BUDGETS
    }
    return {
        "streams alone": lambda seed, seconds: colocated(quiet, WHOLE, seed, seconds),
        **shared,
        "colocated, whole": lambda seed, seconds: colocated(half, WHOLE, seed, seconds),
        "DPD, decoder": lambda seed, seconds: pair(MIX, seed, seconds),
    }


def step(streams: int, pieces: Sequence[tuple[int, int]] = ()) -> float:
    """Return the milliseconds of a step with so many streams in it and pieces of prompts, new tokens after others."""
    return 1e3 * TIMING.forward(pieces, [CONTEXT] * streams)


def arithmetic() -> list[list[str]]:
    """Return what a step takes, term by term."""
    alone, half = step(MIX.streams), step(MIX.streams // 2)
    rows = [["a step", "arithmetic", "ms"]]
    rows.append([f"{MIX.streams} streams, {CONTEXT:,} tokens each", _bare(MIX.streams), f"{alone:.1f}"])
    rows.append([f"{MIX.streams // 2} streams", _bare(MIX.streams // 2), f"{half:.1f}"])
    for budget in (*BUDGETS, PROMPT * 2):
        before = 0 if budget >= PROMPT else PROMPT // 2
        piece = 1e3 * TIMING.prefill(budget, before)
        said = (
            f"{half:.1f} + {budget:,} × {1e3 * TIMING.prefill_token:.3f} + {budget:,} × {before + budget:,} × {_tiny()}"
        )
        name = f"and {budget:,} tokens of a prompt after {before:,}" if before else f"and a prompt of {budget:,}"
        rows.append([name, said, f"{half + piece:.1f}"])
    copy = 1e3 * TIMING.retrieve(PROMPT * TOKEN_BYTES)
    size = PROMPT * TOKEN_BYTES
    said = f"{alone:.1f} + {size / 1e6:,.0f} MB ÷ {TIMING.retrieve_bytes_per_second / 1e9:g} GB/s"
    rows.append([f"{MIX.streams} streams, and KV of {PROMPT:,} tokens copied", said, f"{alone + copy:.1f}"])
    return rows


def _tiny() -> str:
    return f"{1e3 * TIMING.prefill_square:.1e}"


def _bare(streams: int) -> str:
    fixed, each = 1e3 * (TIMING.step + TIMING.decode_step), 1e3 * TIMING.decode_sequence
    return f"{fixed:g} + {streams} × {each:g} + {streams * CONTEXT:,} × {1e3 * TIMING.decode_context_token:.1e}"


def record(played: dict[str, list[Played]]) -> Record:
    """Return the section."""
    ordered = {name: [sorted(each.gaps) for each in rounds] for name, rounds in played.items()}
    rows = [[f"{HEAD[0]}ms", *HEAD[1:]]]
    for name, rounds in played.items():
        rows.append(row(name, [(gaps, each.firsts) for gaps, each in zip(ordered[name], rounds, strict=True)]))
    shown = {name: excerpt(played[name][0].line, BEGIN, LENGTH) for name in SHOWN}
    return Record(
        name="interference",
        title="Token gaps under mixed traffic, simulated",
        place=10,
        command="python -m bench.interference",
        text=_text(),
        tables=[Table(rows), Table(arithmetic())],
        charts=[
            Chart("One stream, ten seconds", Axis("s"), Axis("ms to the next token"), shown, dots=True),
            Chart("Rare gaps", Axis("one gap in so many is longer", log=True), Axis("ms", log=True), lines(ordered)),
        ],
        data={"seeds": list(SEEDS), "seconds": SECONDS, "rows": rows},
    )


def _text() -> list[str]:
    lengths = ", ".join(f"{each:,}" for each in MIX.prompts)
    transfer = 1e3 * TIMING.transfer(PROMPT * TOKEN_BYTES)
    half = step(MIX.streams // 2)
    stall = step(MIX.streams // 2, [(PROMPT, 0)])
    return [
        "The claim is that a long prompt on the same GPU stalls the token streams of others, and that prefilling it "
        "elsewhere does not. Simulated: the engine of `images/simulator` (its scheduler and its loop, on a virtual "
        "clock) with its times of a 70B model on eight H100, which are round numbers and no measurements.",
        f"The traffic is what two engines have to serve: {MIX.streams} streams that are always there, contexts of "
        f"{MIX.least:,} to {MIX.most:,} tokens, and a long prompt every {1 / MIX.rate:g} s by chance ({lengths} "
        f"tokens, each as likely) with {MIX.answer} tokens of answer. *Colocated* is one of two engines that share it "
        "evenly, with so many tokens to a step; *DPD, decoder* is the second of a pair, with all streams and all "
        "answers.",
        "Why it is so: a token takes a step, and a step takes what is in it. Its fixed cost, so much for each "
        "sequence and for each token of context make a token's time without prefills; a prompt's tokens add theirs, "
        f"and what attention adds grows with their product. A prompt of {PROMPT:,} tokens in one step makes "
        f"{half:.0f} ms into {stall:.0f}, once; in pieces of 2,048 it is four shorter stalls, and the prompt itself "
        f"comes later. On a decoder it is a copy, after {transfer:.0f} ms on the wire that nobody else waits for. The "
        "price is in the table too: the decoder has the streams of two, so its median is higher, and TTFT has the "
        "transfer in it.",
        f"Seeds {', '.join(map(str, SEEDS))}, {SECONDS:g} s each; gaps are of the streams that are always there: "
        "median of the seeds, least and most in brackets.",
    ]


def main() -> int:
    """Entry point."""
    played: dict[str, list[Played]] = {}
    for name, engine in engines().items():
        for seed in SEEDS:
            played.setdefault(name, []).append(run(engine(seed, SECONDS)))
    made = record(played)
    print("\n".join(" | ".join(each) for table in made.tables for each in table.rows))
    write(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
