"""Last step: every engine in turn under the same traffic, round by round; raw figures as JSON.

Usage: python -m bench.gpu.mixed OUT [--seconds N] [--rounds N] [--seed N] [--tiny]. --tiny is a small model for a first
look, on any machine. The figures of a GPU become a section of the page by `python -m bench.gpu.report OUT`.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from bench.gpu.check import MOST, error
from bench.gpu.link import Link
from bench.gpu.model import Model
from bench.gpu.model_shape import Shape
from bench.gpu.play import Engine, Played
from bench.gpu.schedule import Batch, Job, Piece
from bench.gpu.traffic import Arrival, Mix, arrivals, begun, prefilled

LONG_SLOTS = 20
WHOLE = None
BUDGETS = {"512": 512, "2,048": 2048, "8,192": 8192, "whole": WHOLE}
TINY_SHAPE = Shape(layers=2, hidden=128, heads=4, kv_heads=2, size=64, inner=256, vocabulary=512)
TINY_MIX = Mix(streams=4, rate=4.0, answer=8, least=16, most=64, prompts=(64, 128))


class Bench:
    """The model, and what a prefill takes when it has a GPU of its own."""

    def __init__(self, shape: Shape, mix: Mix, device: str, seed: int) -> None:
        self.mix = mix
        self.seed = seed
        self.longest = max(mix.prompts)
        slots = [mix.most + 16] * mix.streams + [self.longest + mix.answer + 16] * LONG_SLOTS
        dtype = torch.float32 if device == "cpu" else torch.bfloat16
        self.model = Model(shape, slots, device, dtype)
        self.link = Link(self.model, self.longest)
        if device == "cuda":
            self.model.capture()
        self.idle: list[int | None] = [None] * len(slots)
        self.prefills = {tokens: self._prefill(tokens) for tokens in mix.prompts}

    def _prefill(self, tokens: int) -> list[float]:
        """Return the seconds of some prefills of a whole prompt, alone; the first, which warms up, is left out."""
        job, found = Job(0.0, tokens, self.mix.streams), list[float]()
        for _ in range(6):
            begin = time.perf_counter()
            self.model.step(self.idle, [Piece(job, 0, tokens)])
            found.append(time.perf_counter() - begin)
        return found[1:]

    def warm(self) -> None:
        """Compute pieces of every size that will come, so that no engine pays for a kernel's first use."""
        job = Job(0.0, self.longest, self.mix.streams)
        for size in (budget for budget in BUDGETS.values() if budget and budget < self.longest):
            for before in range(0, self.longest - size, max(size, self.longest // 4)):
                self.model.step(self.idle, [Piece(job, before, size)])

    def slots(self, streams: int) -> range:
        """Return the slots of long prompts; those of streams that are not there stay empty."""
        return range(max(streams, self.mix.streams), len(self.model.slots))

    def play(self, mix: Mix, budget: int | None, seed: int, seconds: float) -> Played:
        """Run a colocated engine."""
        due = [(each.at, each) for each in arrivals(mix, seed, seconds)]
        return Engine(self.model, mix, Batch(self.slots(mix.streams), budget)).play(begun(mix, seed), due, seconds)

    def decode(self, seed: int, seconds: float) -> Played:
        """Run the decoder of a pair, whose prefiller works elsewhere as fast as this GPU does alone."""
        arriving: list[Arrival] = arrivals(self.mix, seed, seconds)
        due = prefilled(arriving, {tokens: statistics.median(each) for tokens, each in self.prefills.items()})
        batch = Batch(self.slots(self.mix.streams), WHOLE)
        return Engine(self.model, self.mix, batch, self.link).play(begun(self.mix, seed), due, seconds)


def variants(bench: Bench) -> dict[str, Callable[[int, float], Played]]:
    """Return who is compared: one of two engines that share the traffic, and the decoder of a pair with all of it."""
    half, quiet = bench.mix.half(), Mix(**{**asdict(bench.mix), "rate": 0.0})
    shared = {
        f"colocated, {name}": lambda seed, seconds, budget=budget: bench.play(half, budget, seed, seconds)
        for name, budget in BUDGETS.items()
    }
    return {
        "streams alone": lambda seed, seconds: bench.play(quiet, WHOLE, seed, seconds),
        **shared,
        "DPD, decoder": bench.decode,
    }


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seconds", type=float, default=25.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tiny", action="store_true")
    options = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    wrong = error(device)
    print(f"{device}: relative error {wrong:.2e}, at most {MOST[device]:.0e}", flush=True)
    if not wrong <= MOST[device]:
        return 1
    torch.manual_seed(options.seed)
    shape, mix = (TINY_SHAPE, TINY_MIX) if options.tiny else (Shape(), Mix())
    bench = Bench(shape, mix, device, options.seed)
    bench.warm()
    played: dict[str, list[Played]] = {}
    for number in range(options.rounds):
        for name, run in variants(bench).items():
            found = run(options.seed + number, options.seconds)
            played.setdefault(name, []).append(found)
            print(f"{name:20} {_said(found)}", flush=True)
    content = {**_about(options, shape, mix, device, wrong), "prefills": bench.prefills, "copy": _copies(bench)}
    content["played"] = {name: [_summary(each) for each in rounds] for name, rounds in played.items()}
    options.out.write_text(json.dumps(content))
    return 0


def _copies(bench: Bench) -> dict[int, list[float]]:
    """Return the seconds of some copies from the buffer to a slot, by tokens."""
    found: dict[int, list[float]] = {}
    for tokens in bench.mix.prompts:
        for _ in range(6):
            _settle()
            begin = time.perf_counter()
            bench.link.receive(bench.mix.streams, tokens)
            _settle()
            found.setdefault(tokens, []).append(time.perf_counter() - begin)
    return {tokens: each[1:] for tokens, each in found.items()}


def _settle() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _about(options: argparse.Namespace, shape: Shape, mix: Mix, device: str, wrong: float) -> dict[str, Any]:
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "driver": _driver() if device == "cuda" else None,
        "error": wrong,
        "seconds": options.seconds,
        "seed": options.seed,
        "shape": asdict(shape),
        "mix": asdict(mix),
    }


def _driver() -> str:
    lines = Path("/proc/driver/nvidia/version").read_text(encoding="utf-8").splitlines()
    return next((word for word in lines[0].split() if word[0].isdigit()), "")


def _said(found: Played) -> str:
    gaps = sorted(found.gaps)
    p50, p99 = gaps[len(gaps) // 2], gaps[int(len(gaps) * 0.99)]
    firsts = statistics.median(found.firsts) if found.firsts else 0.0
    return (
        f"token gap p50 {p50 * 1e3:7.2f} p99 {p99 * 1e3:7.2f} max {gaps[-1] * 1e3:7.2f} ms, "
        f"TTFT p50 {firsts * 1e3:7.1f} ms of {len(found.firsts)}"
    )


def _summary(found: Played) -> dict[str, Any]:
    """Return everything, rounded to a microsecond; gaps in order of size, so many of each."""
    counted: dict[float, int] = {}
    for gap in found.gaps:
        counted[round(gap, 6)] = counted.get(round(gap, 6), 0) + 1
    return {
        "gaps": sorted(counted.items()),
        "firsts": [round(each, 6) for each in found.firsts],
        "line": [(round(at, 6), round(gap, 6)) for at, gap in found.line],
        "steps": [(round(seconds, 6), decoding, new) for seconds, decoding, new in found.steps],
    }


if __name__ == "__main__":
    sys.exit(main())
