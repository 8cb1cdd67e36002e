"""Mixed traffic, simulated and on a GPU: what does not need one."""

import json
from pathlib import Path
from typing import Any

import pytest

from bench.gaps import curve, quantile, row
from bench.gpu.report import record as gpu_record
from bench.gpu.schedule import Batch, Job
from bench.gpu.traffic import Arrival, Mix, arrivals, begun, prefilled
from bench.interference.__main__ import arithmetic, engines, record, step
from bench.interference.play import MIX, colocated, pair
from bench.interference.virtual import run
from bench.page import page

TINY = Mix(streams=4, rate=1.0, answer=8, least=64, most=256, prompts=(2048,))


def planned(budget: int | None, *sizes: int, slots: int = 4, decoding: int = 0) -> list[list[tuple[int, int]]]:
    """Plan steps until every prompt is whole; pieces are (before, new)."""
    batch, steps = Batch(range(slots), budget), []
    batch.waiting.extend(Job(0.0, size) for size in sizes)
    while pieces := batch.plan(decoding):
        steps.append([(each.before, each.new) for each in pieces])
    return steps


@pytest.mark.parametrize(
    ("budget", "sizes", "decoding", "steps"),
    [
        (None, (100, 50), 9, [[(0, 100), (0, 50)]]),
        (64, (100,), 0, [[(0, 64)], [(64, 36)]]),
        (64, (100, 50), 14, [[(0, 50)], [(50, 50)], [(0, 50)]]),
        (64, (10, 100), 0, [[(0, 10), (0, 54)], [(54, 46)]]),
    ],
)
def test_a_step_computes_as_many_prompt_tokens_as_its_budget_leaves(
    budget: int | None, sizes: tuple[int, ...], decoding: int, steps: list[list[tuple[int, int]]]
) -> None:
    assert planned(budget, *sizes, decoding=decoding) == steps


def test_a_prompt_without_a_slot_waits() -> None:
    batch = Batch(range(1), None)
    batch.waiting.extend([Job(0.0, 10), Job(0.0, 20)])
    (piece,) = batch.plan(0)
    assert piece.last
    assert batch.plan(0) == []
    batch.give(piece.job.slot)
    assert [each.job.tokens for each in batch.plan(0)] == [20]


def test_arrivals_are_the_same_for_the_same_seed_and_as_many_as_was_said() -> None:
    mix = Mix(rate=5.0)
    found = arrivals(mix, 3, 200.0)
    assert found == arrivals(mix, 3, 200.0) != arrivals(mix, 4, 200.0)
    assert 850 < len(found) < 1150
    assert {each.tokens for each in found} == set(mix.prompts)
    assert arrivals(Mix(rate=0.0), 3, 200.0) == []
    assert len(begun(mix.half(), 3)) == mix.streams // 2


def test_a_prefiller_takes_one_prompt_after_the_other() -> None:
    arriving = [Arrival(0.0, 10), Arrival(0.5, 20), Arrival(9.0, 10)]
    assert [at for at, _ in prefilled(arriving, {10: 1.0, 20: 3.0})] == [1.0, 4.0, 10.0]


def test_gaps_are_told_by_how_rare_they_are() -> None:
    gaps = [number / 1000 for number in range(1, 1001)]
    assert (quantile(gaps, 0.5), quantile(gaps, 1.0)) == (0.501, 1.0)
    assert row("x", [(gaps, [0.2])]) == ["x", "501.0", "991.0", "1000.0", "1000.0", "200.0"]
    assert [100.0, 991.0] in curve([gaps])


def test_a_pairs_streams_wait_for_no_prompt_and_colocated_ones_do() -> None:
    shared, apart = run(colocated(TINY, 1 << 20, 1, 8.0)), run(pair(TINY, 1, 8.0))
    assert shared.firsts
    assert max(apart.gaps) < max(shared.gaps) / 2
    assert run(pair(TINY, 1, 8.0)) == apart


def test_in_smaller_pieces_stalls_are_shorter_and_the_prompt_comes_later() -> None:
    small, whole = run(colocated(TINY, 256, 2, 8.0)), run(colocated(TINY, 1 << 20, 2, 8.0))
    assert max(small.gaps) < max(whole.gaps)
    assert min(small.firsts) > min(whole.firsts)


def test_a_long_gap_is_the_step_that_the_arithmetic_says() -> None:
    found = run(colocated(Mix(4, 0.2, 8, 2500, 2600, (8192,)), 1 << 20, 1, 20.0))
    assert max(found.gaps) * 1e3 == pytest.approx(step(4, [(8192, 0)]), rel=0.01)


def test_the_section_says_what_was_found_and_how_a_step_comes_about() -> None:
    made = record({name: [run(engine(1, 6.0))] for name, engine in engines().items()})
    written = page({"interference": made})
    assert "| colocated, 2,048 |" in written
    assert arithmetic()[1][0] in written
    assert f"{MIX.streams} streams that are always there" in written


def raw() -> dict[str, Any]:
    played = {
        "gaps": [[0.01, 90], [0.1, 10]],
        "firsts": [0.5],
        "line": [[6.0, 0.01]],
        "steps": [[0.01, 4, 0], [0.1, 4, 64]],
    }
    return {
        "date": "2026-01-02", "device": "a GPU", "driver": "1", "torch": "2", "cuda": "3", "error": 0.01,
        "seconds": 5.0, "seed": 1,
        "shape": {"layers": 1, "hidden": 8, "heads": 2, "kv_heads": 1, "size": 4, "inner": 8, "vocabulary": 9},
        "mix": {"streams": 4, "rate": 2.0, "answer": 8, "least": 16, "most": 64, "prompts": [64]},
        "prefills": {"64": [0.2, 0.3, 0.4]}, "copy": {"64": [0.001]},
        "played": {"colocated, 2,048": [played], "DPD, decoder": [played]},
    }  # fmt: skip


def test_what_a_gpu_found_is_told_with_the_date_and_the_device_it_was_found_with(tmp_path: Path) -> None:
    found = gpu_record(json.loads(json.dumps(raw())))
    assert (found.date, found.machine) == ("2026-01-02", "one a GPU, driver 1, PyTorch 2 (CUDA 3)")
    written = page({"gpu": found})
    assert "not vLLM, not two machines, not over EFA" in written
    assert "| DPD, decoder | 10.0 | 100.0 | 100.0 | 100.0 | 500.0 |" in written
    assert "| 64 | 300.0 |" in written
