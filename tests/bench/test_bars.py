"""The comparison with other routers: what is judged and how, and that it runs at all where there is no network."""

from bench.bars import Bar, bars
from bench.cases import ALONE, BARE, CASES, DIRECT, HAPROXY, NGINX, PD, RUST, SOURCES, US, Case, Figure, peers_of
from bench.flame import read, record
from bench.measure import build, measure
from bench.run import apart, asked, table
from bench.run import record as section

TINY = Case("tiny", 2, 40, 1024, 4)


def figures(ours: float, theirs: float) -> dict[tuple[str, str], list[Figure]]:
    """Return two rounds in which everybody else costs the same."""
    found = {
        (peer, case.name): [Figure(ours if peer == US else theirs, 200.0, 10.0)] * 2
        for case in CASES
        for peer in peers_of(case)
    }
    return found | {(DIRECT, ALONE.name): [Figure(1.0, 100.0, 1.0)] * 2}


def test_a_bar_is_met_by_its_median_and_told_with_least_and_most() -> None:
    assert Bar("a", 1.0, [0.5, 0.9, 1.4]).row() == ["a", "≤ 1 ×", "0.90 × (0.50–1.40)", "pass"]
    assert Bar("a", 1.0, [0.5, 1.1, 1.4]).row() == ["a", "≤ 1 ×", "1.10 × (0.50–1.40)", "FAIL"]


def test_what_was_not_measured_is_not_met() -> None:
    assert Bar("a", 1.0, []).row() == ["a", "≤ 1 ×", "not measured", "FAIL"]
    assert not any(bar.met for bar in bars({}, [], []))


def test_half_of_what_others_cost_meets_every_bar_and_three_times_as_much_none_that_compares() -> None:
    assert all(bar.met for bar in bars(figures(10.0, 20.0), [40.0], [0.5]))
    dear = bars(figures(60.0, 20.0), [40.0], [0.5])
    assert [bar.what for bar in dear if bar.met and bar.unit != "MB"] == [
        f"{ALONE.name}: added latency, to the faster Rust router"
    ]


def test_of_two_rust_routers_the_cheaper_one_of_each_round_counts() -> None:
    found = figures(10.0, 20.0)
    found[RUST[1], ALONE.name] = [Figure(5.0, 200.0, 1.0), Figure(40.0, 200.0, 1.0)]
    assert bars(found, [], [])[0].values == [2.0, 0.5]


def test_added_latency_is_what_comes_on_top_of_the_engines_own() -> None:
    found = figures(10.0, 20.0)
    found[US, ALONE.name] = [Figure(10.0, 150.0, 1.0)] * 2
    (added,) = [bar for bar in bars(found, [], []) if "latency" in bar.what]
    assert added.values == [0.5, 0.5]


def test_the_quick_run_leaves_out_nobody_whom_a_bar_is_about() -> None:
    quick = {case.name: asked(case, judged=True) for case in CASES}
    found = {(peer, case): rows for (peer, case), rows in figures(10.0, 20.0).items() if peer in quick[case]}
    assert not any(peer in peers for peers in quick.values() for peer in (BARE, SOURCES))
    assert all(bar.met for bar in bars(found | {(DIRECT, ALONE.name): [Figure(1.0, 100.0, 1.0)] * 2}, [40.0], [0.5]))


def test_another_machines_run_is_a_section_of_its_own_and_says_which_bars_are_missed_there() -> None:
    found, memory = figures(60.0, 20.0), {US: [90.0]}
    judged = [bar for bar in bars(found, memory[US], [0.5]) if bar.unit == "MB"]
    first = section(found, memory, judged, 2)
    there = apart(first, "old", judged)
    assert (there.name, there.title, there.tables) == ("peers-old", "Beside other routers, again: old", first.tables)
    assert there.text[1:] == ["Here these bars are missed: 2,000 streams.", "2 rounds."]
    assert apart(first, "new", []).text[1] == "Here every bar is met, too."


def test_a_cell_says_the_others_figure_and_ours_as_a_multiple_of_it() -> None:
    (head, row) = table(figures(10.0, 20.0), [PD[0]])
    assert dict(zip(head, row, strict=True)) == {
        "processor time, µs": "PD, 32 KB, 8 events, per request",
        "dpd": "10.0",
        "nginx": "–",
        "haproxy": "–",
        "vllm-router": "20.0 (× 0.50, 0.50–0.50)",
        "sglang-router": "–",
        BARE: "–",
        SOURCES: "–",
    }


def test_every_proxy_that_needs_no_network_can_be_measured() -> None:
    build()
    for peer in (SOURCES, NGINX, HAPROXY, BARE):
        assert measure(peer, TINY).cpu > 0, peer


def test_stacks_are_counted_once_for_every_function_in_them_and_for_the_last_one_alone() -> None:
    own, within, count = read("main (a.py:1);serve (b.py:2);serve (b.py:9) 3\nmain (a.py:1);write (c.py:4) 1\n")
    assert (own["serve"], own["write"], own["main"]) == (3, 1, 0)
    assert (within["main"], within["serve"], count) == (4, 3, 4)
    found = record(own, within, count)
    assert found.tables[0].rows[0] == ["part of a request", "share"]
