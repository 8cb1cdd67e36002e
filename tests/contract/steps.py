"""What the walk requires of every field, in either shape."""

import contextlib
from collections.abc import Mapping
from typing import Any

import yaml

from chart.helm import LOADER, RefusedError
from contract.samples import spoken
from contract.walk import Walk
from schemagen.ledger import Field, fields
from schemagen.sources import load
from support.direct import Direct
from support.paths import ROOT

SOURCES = load(ROOT / "schemas")
FIELDS = fields(SOURCES)
LEAVES = [each for each in FIELDS if each.is_leaf]


def name(field: Field) -> str:
    """Return a field's path as people write it."""
    return spoken(field.path)


def require_effect_or_warning(field: Field, walk: Walk, note: Mapping[str, Any], shape: str) -> None:
    """A field changes the manifests, or the ledger says that it does not and `dpd render` warns of it."""
    speaker = _speaker(field)
    if speaker:
        require_warning_and_no_effect(field, speaker, walk)
        return
    before, after = walk.without(field), walk.having(field)
    if note.get("only", shape) == shape:
        changed = walk.manifests(after) != walk.manifests(before)
        assert changed, "the ledger says what it does, and the manifests do not change"
    elif "quiet" not in note:
        around = [field.path[:end] for end in range(1, len(field.path) + 1)]
        warned = any(map(walk.render(after).warns_of, around))
        assert warned, f"it means nothing in a {shape} endpoint, and `dpd render` does not say so"


def require_warning_and_no_effect(field: Field, speaker: Field, walk: Walk) -> None:
    """A field that is not drawn is warned of, whether the chart then ignores or refuses it."""
    after = walk.having(field)
    assert walk.render(after).warns_of(speaker.path), f"the ledger says {speaker.warning}, and `dpd render` does not"
    with contextlib.suppress(RefusedError):
        unchanged = walk.manifests(after) == walk.manifests(walk.without(field))
        assert unchanged, "it takes effect, and the ledger says that it does not: say in its row what it does"


def require_admission(field: Field, walk: Walk, direct: Direct) -> None:
    """An API server takes every object that a field changes or adds."""
    try:
        before, after = (walk.manifests(each) for each in (walk.without(field), walk.having(field)))
    except RefusedError:
        return
    new = [each for each in after.split("\n---\n") if each not in before.split("\n---\n")]
    objects = [document for each in new for document in yaml.load_all(each, Loader=LOADER) if document]
    objections = {f"{each['kind']} {each['metadata']['name']}": direct.objections(each) for each in objects}
    assert {name: said for name, said in objections.items() if said} == {}


def _speaker(field: Field) -> Field | None:
    """Return the field whose warning speaks for this one: itself, or one around it; None when it is drawn."""
    for each in FIELDS:
        around = field.path[: len(each.path)] == each.path
        if around and each.warning and each.row and "does" not in each.row:
            return each
    return None
