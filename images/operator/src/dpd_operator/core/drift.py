"""Does the cluster still hold what a release put there? What is missing, and what somebody changed."""

from collections.abc import Iterable, Mapping
from typing import Any

from dpd.sizing import quantity
from dpd_operator.core.objects import Ref, Tree, ref_of

_OURS_TO_KEEP = ("spec", "data", "rules", "subjects", "automountServiceAccountToken")


def missing(objects: Iterable[Tree], live: Mapping[Ref, Tree], seen: Iterable[str]) -> list[Ref]:
    """Return the objects that are not there, of the kinds (as `v1/Service`) that somebody looks at."""
    kinds = frozenset(seen)
    wanted = (ref_of(each) for each in objects)
    return [each for each in wanted if f"{each.api_version}/{each.kind}" in kinds and each not in live]


def changed(objects: Iterable[Tree], live: Mapping[Ref, Tree]) -> list[Ref]:
    """Return the objects that are there and say something else than the release does."""
    pairs = ((each, live.get(ref_of(each))) for each in objects)
    return [ref_of(wanted) for wanted, found in pairs if found is not None and _differs(wanted, found)]


def _differs(wanted: Tree, found: Tree) -> bool:
    kept = {key: wanted[key] for key in _OURS_TO_KEEP if key in wanted}
    labels = wanted["metadata"].get("labels")
    return not (holds(found, kept) and holds(found["metadata"].get("labels"), labels))


def holds(found: Any, wanted: Any) -> bool:
    """Whether `found` says all that `wanted` says; additions of the API server and its way of writing are no change."""
    match wanted:
        case None:
            return True
        case dict():
            inside = found if isinstance(found, dict) else {}
            return all(holds(inside.get(key), each) for key, each in wanted.items())
        case list():
            beside = found if isinstance(found, list) else []
            return len(beside) == len(wanted) and all(map(holds, beside, wanted))
        case _:
            return _same(found, wanted)


def _same(found: Any, wanted: Any) -> bool:
    # The API server leaves out what is empty anyway.
    if found is None:
        return wanted in ("", False, 0)
    if found == wanted:
        return True
    amounts = [quantity(each) if isinstance(each, str | int) else None for each in (found, wanted)]
    return amounts[0] is not None and amounts[0] == amounts[1]
