"""The ledger beside the contract: neither may have a field that the other lacks; a wrong row says how to repair it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from schemagen.ledger import Field, fields, warnings
from schemagen.ledger_page import contract_page
from schemagen.sources import SourceError, Sources

Changed = Callable[[str, Any], Sources]


@pytest.fixture
def changed(sources: Sources) -> Changed:
    """Return the sources with the row of `Object.field` replaced, or removed when it is None."""

    def change(name: str, row: Any) -> Sources:
        owner, _, field = name.partition(".")
        rows = {key: each for key, each in sources.ledger.get(owner, {}).items() if key != field}
        return replace(sources, ledger={**sources.ledger, owner: rows if row is None else {**rows, field: row}})

    return change


def found(sources: Sources, path: str) -> Field:
    return next(each for each in fields(sources) if ".".join(each.path) == path)


def test_a_leaf_without_a_row_is_named(changed: Changed) -> None:
    with pytest.raises(SourceError) as error:
        fields(changed("Worker.image", None))
    assert str(error.value) == (
        "schemas/ledger.yaml: Worker.image: has no row; say what it does here, or `not-drawn` and why"
    )


def test_a_row_without_a_field_is_named(changed: Changed) -> None:
    with pytest.raises(SourceError) as error:
        fields(changed("Worker.imageName", {"does": "Nothing.", "where": "_pod.tpl"}))
    assert str(error.value) == (
        "schemas/ledger.yaml: Worker.imageName: no field of the contract's spec; remove the row or repair its name"
    )


def test_a_row_inside_a_field_that_speaks_for_it_is_named(changed: Changed) -> None:
    sources = changed("Spec.worker", {"no-effect": "there is none"})
    with pytest.raises(SourceError, match=r"Worker\.image: the row of a field around it speaks for it already"):
        fields(sources)


def test_a_field_that_holds_others_does_nothing_itself(changed: Changed) -> None:
    sources = changed("Spec.worker", {"does": "Everything.", "where": "_pod.tpl"})
    with pytest.raises(SourceError) as error:
        fields(sources)
    assert str(error.value) == (
        "schemas/ledger.yaml: Spec.worker: holds fields of its own; say in their rows what each does"
    )


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({}, "is no row; write `does` and `where`, `not-drawn`, or `no-effect`"),
        ("drawn", "is no row; write `does` and `where`, `not-drawn`, or `no-effect`"),
        ({"does": "Something."}, "is no row; write `does` and `where`, `not-drawn`, or `no-effect`"),
        ({"not-drawn": "a", "no-effect": "b"}, "is no row; write `does` and `where`, `not-drawn`, or `no-effect`"),
        ({"not-drawn": "a", "why": "b"}, "is no row; write `does` and `where`, `not-drawn`, or `no-effect`"),
        (
            {"does": "a", "where": "b", "remedy": "c"},
            "`remedy` and `unless` belong to a warning; remove them",
        ),
        (
            {"does": "a", "where": "b", "not-drawn": "c"},
            "does something and warns; name in `unless` the values that need no warning",
        ),
    ],
)
def test_a_malformed_row_is_named(row: Any, message: str, changed: Changed) -> None:
    with pytest.raises(SourceError) as error:
        fields(changed("Worker.image", row))
    assert str(error.value) == f"schemas/ledger.yaml: Worker.image: {message}"


def test_every_problem_is_named_at_once(changed: Changed) -> None:
    sources = changed("Worker.image", None)
    with pytest.raises(SourceError) as error:
        fields(replace(sources, ledger={**sources.ledger, "Nothing": {"here": {"no-effect": "x"}}}))
    assert [line.split(": ")[1] for line in str(error.value).splitlines()] == ["Worker.image", "Nothing.here"]


def test_a_warning_on_a_field_that_holds_others_speaks_for_all_of_them(changed: Changed) -> None:
    warned = changed("Spec.tags", {"no-effect": "there is nothing to tag"})
    sources = replace(warned, ledger={name: rows for name, rows in warned.ledger.items() if name != "Tag"})
    assert found(sources, "tags").warning == "accepted, no effect here: there is nothing to tag"
    assert found(sources, "tags.[].name").covered


def test_the_fields_of_a_shared_object_count_once_per_place(sources: Sources) -> None:
    places = [each.path[:-1] for each in fields(sources) if each.name == "AutoScalingSpec.minReplicaCount"]
    assert places == [
        ("autoScalingSpec",),
        ("intelligentRoutingSpec", "autoScalingSpec"),
        ("pdSpec", "autoScalingSpec", "decodingAutoScaling"),
        ("pdSpec", "autoScalingSpec", "prefillAutoScaling"),
    ]


def test_kubernetes_own_types_are_leaves(sources: Sources) -> None:
    probe = found(sources, "worker.probes.livenessProbe")
    resources = found(sources, "worker.resources")
    assert probe.is_leaf
    assert resources.is_leaf


def test_a_warning_carries_its_remedy_and_the_values_that_need_none(changed: Changed) -> None:
    sources = changed("Worker.image", {"not-drawn": "no image", "remedy": "bring one", "unless": ["x"]})
    assert [each for each in warnings(fields(sources)) if each["path"] == ["worker", "image"]] == [
        {
            "path": ["worker", "image"],
            "fact": "accepted, not drawn yet: no image",
            "remedy": "bring one",
            "unless": ["x"],
        }
    ]


def test_the_page_shows_every_leaf_or_the_field_that_speaks_for_it(sources: Sources) -> None:
    page = contract_page(sources)
    for each in fields(sources):
        if each.is_leaf and not each.covered:
            assert f"| `{each.path[-1]}` | " in page.partition(f"## {each.owner}\n")[2].partition("\n## ")[0]
