"""What `bench.render` makes of what it measured: counted and compared, nothing timed."""

from pathlib import Path

import pytest
import yaml

from bench.chart import picture
from bench.render import ALL, ONE, TEMPLATE, Took, helm, judged, manifests, record
from support.paths import EXAMPLES

OURS, BARE = f"{TEMPLATE}, DPD", f"{TEMPLATE}, bare"


def found(chart: float, *, one: float = 0.2, many: float = 3.0) -> dict[str, list[Took]]:
    """Three equal rounds; the bare chart takes 0.1 s."""
    took = {ONE: one, ALL: many, OURS: chart, BARE: 0.1}
    return {what: [Took(seconds, 2 * seconds)] * 3 for what, seconds in took.items()}


def test_the_chart_is_judged_by_the_bare_one_of_the_same_round() -> None:
    uneven = {OURS: [Took(0.3, 1), Took(0.1, 1), Took(0.15, 1)], BARE: [Took(0.2, 1), Took(0.1, 1), Took(0.1, 1)]}
    assert judged(uneven)[-1].values == pytest.approx([1.5, 1.0, 1.5])


@pytest.mark.parametrize(
    ("seen", "met"),
    [
        (found(0.19), [True, True, True]),
        (found(0.21), [True, True, False]),
        (found(0.19, one=0.4), [False, True, True]),
        (found(0.19, many=5.1), [True, False, True]),
    ],
)
def test_each_bar_is_missed_by_its_own_figure_alone(seen: dict[str, list[Took]], met: list[bool]) -> None:
    assert [each.met for each in judged(seen)] == met


def test_what_was_not_measured_meets_no_bar() -> None:
    assert [each.met for each in judged({})] == [False, False, False]


def test_the_section_has_verdicts_and_both_times_and_the_drawing_leaves_the_thousand_out() -> None:
    made = record(found(0.19), 26, 3)
    assert [row[-1] for row in made.tables[0].rows] == ["", "pass", "pass", "pass"]
    assert made.tables[1].rows[3] == [OURS, "0.19 (0.19–0.19)", "0.38 (0.38–0.38)"]
    assert made.data[BARE] == [[0.1, 0.2]] * 3
    assert list(made.bars[0].groups) == [ONE, OURS, BARE]
    assert "26 objects" in made.text[-1]
    assert picture(made) == picture(record(found(0.19), 26, 3))


def test_manifests_are_the_examples_in_turn_under_names_of_their_own(tmp_path: Path) -> None:
    examples = len(list(EXAMPLES.glob("*.yaml")))
    made = [yaml.safe_load(each.read_text()) for each in manifests(tmp_path, examples + 1)]
    assert [each["metadata"]["name"] for each in made] == [f"endpoint-{number}" for number in range(examples + 1)]
    assert made[0]["spec"] == made[-1]["spec"]


def test_both_charts_are_rendered_for_the_same_kubernetes() -> None:
    one, other = helm(Path("a"), "-f", "v"), helm(Path("b"))
    assert [each for each in one if each not in (Path("a"), "-f", "v")] == [each for each in other if each != Path("b")]
