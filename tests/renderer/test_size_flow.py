"""The simulation of `dpd size`: what must hold whatever comes, and what one of each role can do."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dpd.size.architecture import RefusedError
from dpd.size.flow.costs import Costs
from dpd.size.flow.engine import Engine, Limits
from dpd.size.flow.outcome import outcome_of, times
from dpd.size.flow.ratio import Plant, Targets, decode_rate, prefill_rate, ratio_of
from dpd.size.flow.system import Record, Router, System
from dpd.size.flow.trace import Arrival, Workload, at_once, drawn
from support.paths import EXAMPLES

COSTS = Costs(0.004, 4e-5, 7e-10, 0.0075, 6e-5, 1.7e-8, 40e9, 167e9)
PREFILL = Limits(16, 8192, 1_000_000, 40960, sends=True)
DECODE = Limits(32, 8192, 1_000_000, 40960)
WORK = Workload(4, 6000, 256)
ROUTER = Router(4096, 409)
PLANT = Plant(PREFILL, DECODE, COSTS, COSTS, ROUTER)
PAGE = EXAMPLES / "llama-3.3-70b-dpd.yaml"


def played(
    trace: tuple[Arrival, ...], router: Router = ROUTER, decode: Limits = DECODE, prefillers: int = 1
) -> tuple[System, list[Record]]:
    system = System([Engine(PREFILL, COSTS) for _ in range(prefillers)], [Engine(decode, COSTS)], router)
    return system, system.run(trace)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("pages", [None, 409, 40])
@pytest.mark.parametrize("tokens", [1_000_000, 30_000])
def test_every_request_is_answered_in_order_of_time_and_gives_everything_back(seed, pages, tokens) -> None:
    trace = drawn(Workload(6, 5000, 60, spread=0.9), 60, seed)
    decode = replace(DECODE, tokens=tokens)
    system, records = played(trace, replace(ROUTER, pages=pages), decode)
    for record in records:
        assert record.first is not None
        assert record.last is not None
        assert record.arrival.at < record.first <= record.last
        assert record.prefilled is None or record.arrival.at < record.prefilled < record.first
    assert [each.used for each in system._decoders] == [0]
    assert [each.open for each in system._decoders] == [0]
    assert system._decoders[0].engine._free == tokens // 16
    assert pages is None or system.most_pages <= pages


def test_the_same_seed_gives_the_same_times() -> None:
    first, second = (played(drawn(WORK, 50, seed=7))[1] for _ in range(2))
    assert first == second
    assert played(drawn(WORK, 50, seed=8))[1] != first


def test_what_is_drawn_has_the_rate_and_the_lengths_that_were_asked_for() -> None:
    trace = drawn(Workload(10, 1000, 100, spread=0.5), 4000, seed=1)
    assert trace[-1].at == pytest.approx(400, rel=0.05)
    assert sum(each.prompt for each in trace) / 4000 == pytest.approx(1000, rel=0.02)
    assert 500 <= min(each.prompt for each in trace) < max(each.prompt for each in trace) <= 1500


@pytest.mark.parametrize(
    ("prompt", "router", "way"),
    [
        (4095, ROUTER, "short"),
        (4096, ROUTER, "threshold"),
        (104703, ROUTER, "threshold"),
        (104704, ROUTER, "never_fits"),
    ],
)
def test_a_request_takes_the_way_the_router_would_choose(prompt, router, way) -> None:
    _, records = played((Arrival(0.0, prompt, 4),), router)
    assert [each.reason for each in records] == [way]


def test_who_finds_no_room_in_time_goes_direct() -> None:
    trace = at_once(6000, 600, 12)
    _, records = played(trace, Router(4096, 100, room_seconds=0.5))
    assert {each.reason for each in records} == {"threshold", "buffer_full"}
    assert all(each.last is not None for each in records)


def test_a_prompt_alone_takes_the_seconds_of_its_steps() -> None:
    _, (record,) = played((Arrival(0.0, 6000, 3),))
    prefill = COSTS.forward([(6000, 0)], 0, 0) + 24 * 256 * 40960 / 40e9
    load = 24 * 256 * 40960 / 167e9 + COSTS.forward([(1, 5999)], 0, 0)
    assert record.prefilled == pytest.approx(prefill)
    assert record.first == pytest.approx(prefill + load)
    assert record.last == pytest.approx(prefill + load + COSTS.forward([], 1, 6001) + COSTS.forward([], 1, 6002))


def test_a_long_prompt_is_computed_in_pieces_of_the_steps_tokens() -> None:
    _, (record,) = played((Arrival(0.0, 10000, 1),))
    steps = COSTS.forward([(8192, 0)], 0, 0) + COSTS.forward([(1808, 8192)], 0, 0)
    assert record.prefilled == pytest.approx(steps + 40 * 256 * 40960 / 40e9)


def test_prefills_on_the_same_engine_hold_up_its_answers_and_on_others_do_not() -> None:
    trace = drawn(WORK, 200, seed=2)
    apart, together = PLANT.tried(1, 1, trace), PLANT.tried(0, 2, trace)
    assert apart.token_gap.p99 < together.token_gap.p50


def test_more_load_makes_nothing_faster() -> None:
    first = [PLANT.tried(1, 1, drawn(replace(WORK, rate=rate), 200, seed=3)).first_token.mean for rate in (0.5, 2, 3.5)]
    assert first == sorted(first)


def test_what_does_not_fit_the_kv_cache_at_all_is_never_answered_and_counted() -> None:
    _, records = played((Arrival(0.0, 3000, 4),), decode=replace(DECODE, tokens=1600))
    assert outcome_of(records).unfinished == 1


def test_one_prefiller_does_as_many_prompts_as_its_steps_allow() -> None:
    # Three prompts of 6,000 tokens are computed in steps of 8,192, so less is lost in steps than with one at a time.
    alone = 1 / (COSTS.forward([(6000, 0)], 0, 0) + 24 * 256 * 40960 / 40e9)
    assert prefill_rate(PLANT, WORK) == pytest.approx(alone, rel=0.05)


def test_a_decoder_that_may_be_slower_does_more() -> None:
    rates = [decode_rate(PLANT, WORK, Targets(token_gap=gap)) for gap in (0.012, 0.014, None)]
    assert rates == sorted(rates)
    assert rates[0] < rates[2]


def test_numbers_grow_with_the_rate_and_the_ratio_stays() -> None:
    few, many = (ratio_of(PLANT, work, Targets(), drawn(work, 150, seed=1)) for work in (WORK, replace(WORK, rate=16)))
    assert many.prefillers > few.prefillers
    assert many.decoders > few.decoders
    assert many.prefillers_per_decoder == pytest.approx(few.prefillers_per_decoder)


def test_a_wish_is_met_by_more_of_the_role_that_is_to_blame() -> None:
    trace = drawn(WORK, 200, seed=1)
    plain = ratio_of(PLANT, WORK, Targets(), trace)
    quick = ratio_of(PLANT, WORK, Targets(first_token=0.4), trace)
    assert (quick.prefillers, quick.decoders) > (plain.prefillers, plain.decoders)
    assert quick.decoders == plain.decoders
    assert quick.met


def test_a_wish_that_nothing_can_keep_is_said_to_be_missed() -> None:
    assert not ratio_of(PLANT, WORK, Targets(token_gap=0.001), drawn(WORK, 40, seed=1)).met


def test_quantiles_of_nothing_are_nothing() -> None:
    assert times([]).p99 == 0.0
    assert (times([1.0, 2.0, 3.0]).p50, times([1.0]).p99) == (2.0, 1.0)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"steps": 1}, "file: steps: is no cost; use step, prefill_token"),
        ({"step": "1"}, "file: step: is no number of seconds or bytes; write a number, 0 or more"),
        ({"step": -1}, "file: step: is no number"),
        ({"transfer_bytes_per_second": 0}, "is 0, so nothing would ever arrive"),
    ],
)
def test_costs_that_are_none_are_refused(given, said) -> None:
    with pytest.raises(RefusedError) as refused:
        COSTS.changed(given, "file")
    assert said in str(refused.value)


@pytest.fixture
def workload(dpd: Callable[..., Any]) -> Callable[..., Any]:
    def run(*argv: str | Path) -> Any:
        asked = ("--rate", "4", "--input", "6000", "--output", "256", "--requests", "120", "-o", "json")
        ran = dpd("size", PAGE, *asked, *argv)
        assert ran.code == 0, ran.err
        return json.loads(ran.out)["workload"]

    return run


def test_the_command_answers_with_numbers_and_what_they_would_be_like(workload) -> None:
    found = workload("--ttft", "1", "--tpot", "0.02")
    assert (found["prefillers"], found["decoders"], found["met"]) == (2, 1, True)
    assert found["disaggregated"]["ways"] == {"threshold": 120}
    assert found["disaggregated"]["tpot"]["p90"] < found["colocated"]["tpot"]["p90"]


def test_measured_costs_take_the_place_of_estimates(workload, tmp_path) -> None:
    (tmp_path / "costs.json").write_text(json.dumps({"prefill_token": 0.0002}))
    slow = workload("--costs", tmp_path / "costs.json")
    assert slow["costs"]["prefill"]["prefill_token"] == 0.0002
    assert slow["prefillers"] > workload()["prefillers"]


def test_the_replicas_of_the_manifest_are_tried_too(workload) -> None:
    written = workload()["written"]
    assert written["replicas"] == [1, 1]
    assert written["ttft"]["p90"] > workload()["disaggregated"]["ttft"]["p90"]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("--tpot", "0.001"), "do not answer as quickly as is wanted"),
        (
            ("--buffer", "384Mi", "--input", "4200", "--rate", "11", "--requests", "600"),
            "requests found no room in a decoder's buffer in time and went direct",
        ),
    ],
)
def test_what_came_out_badly_is_warned_of(dpd, argv, said) -> None:
    asked = ("--rate", "6", "--input", "6000", "--output", "256", "--requests", "60", "-o", "json")
    report = json.loads(dpd("size", PAGE, *asked, *argv).out)
    assert any(said in each["fact"] for each in report["warnings"]), report["warnings"]


def test_a_rate_for_more_engines_than_are_simulated_is_refused(dpd) -> None:
    ran = dpd("size", PAGE, "--rate", "1000", "--input", "6000", "--output", "256")
    assert ran.code == 2
    assert "334 prefillers and 170 decoders would be needed" in ran.err


def test_a_colocated_endpoint_has_no_ratio(dpd) -> None:
    example = EXAMPLES / "llama-3.3-70b-colocated.yaml"
    ran = dpd("size", example, "--rate", "1", "--input", "100", "--output", "10")
    assert (ran.code, ran.err) == (
        2,
        "dpd: --rate: the endpoint is colocated, so there is no ratio; size one with pdSpec\n",
    )
