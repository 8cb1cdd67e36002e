"""One step of the walk: a plain manifest with one field set, beside the same manifest without it, both rendered."""

import contextlib
import copy
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from chart.helm import template
from contract.samples import FieldPath, Samples, spoken
from dpd.cli import main
from schemagen.ledger import ITEMS, Field
from schemagen.sources import Sources, reference_name

PLAIN = Path(__file__).with_name("plain.yaml")


@dataclass(frozen=True)
class Said:
    """What `dpd render` says of a manifest, line by line, and the values file it writes."""

    lines: tuple[str, ...]
    values: Path

    def warns_of(self, path: FieldPath) -> bool:
        """Whether there is a warning about the field at `path`."""
        shown = f": spec.{spoken(path).replace('[]', '[0]')}: "
        return any(line.startswith("warning: ") and shown in line for line in self.lines)


class Walk:
    """Sets fields in the plain manifest of one shape and renders; remembers what it has rendered."""

    def __init__(self, shape: str, sources: Sources, samples: Samples, folder: Path) -> None:
        self._plain = yaml.safe_load(PLAIN.read_text(encoding="utf-8"))[shape]
        self._sources = sources
        self._samples = samples
        self._folder = folder
        self._seen: dict[str, Said] = {}

    def without(self, field: Field) -> dict[str, Any]:
        """Return the plain manifest with all that the field needs around it."""
        document: dict[str, Any] = copy.deepcopy(self._plain)
        for dotted, value in self._samples.note(field.owner, field.path).get("with", {}).items():
            *outer, last = dotted.split(".")
            _put(self._holder(document["spec"], tuple(outer)), last, value)
        self._surround(document, field)
        return document

    def having(self, field: Field, value: Any = None) -> dict[str, Any]:
        """Return the same manifest with the field set, to a value of our choice or to this one."""
        document = self.without(field)
        holder = self._surround(document, field)
        last = field.path[-1]
        holder[last] = self._samples.value(field.owner, field.path, holder.get(last)) if value is None else value
        return document

    def render(self, document: Mapping[str, Any]) -> Said:
        """Return what `dpd render` says; raise AssertionError when it refuses the manifest."""
        text = yaml.safe_dump(document, sort_keys=False)
        if text not in self._seen:
            self._seen[text] = _rendered(text, self._folder / f"{len(self._seen)}.yaml")
        return self._seen[text]

    def manifests(self, document: Mapping[str, Any]) -> str:
        """Return what Helm draws; raise RefusedError when it refuses the values."""
        return template("helm", self.render(document).values)

    def _surround(self, document: dict[str, Any], field: Field) -> dict[str, Any]:
        holder = self._holder(document["spec"], field.path[:-1])
        for name, value in self._samples.note(field.owner, field.path).get("beside", {}).items():
            _put(holder, name, value)
        return holder

    def _holder(self, spec: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
        """Return the object at `path`, made with no more than it must have where the manifest lacks it."""
        held: Any = spec
        owner = "Spec"
        for step in path:
            if step == ITEMS:
                held = held[0]
                continue
            schema = self._sources.definitions[owner]["properties"][step]
            is_list = schema.get("type") == "array"
            owner = reference_name((schema["items"] if is_list else schema)["$ref"])
            if step not in held:
                least = self._samples.least(owner)
                held[step] = [least] if is_list else least
            held = held[step]
        found: dict[str, Any] = held
        return found


def _rendered(text: str, values: Path) -> Said:
    manifest = values.with_suffix(".endpoint.yaml")
    manifest.write_text(text, encoding="utf-8")
    with contextlib.redirect_stderr(io.StringIO()) as said:
        code = main(["render", str(manifest), "--output", str(values)])
    assert code == 0, said.getvalue()
    return Said(tuple(said.getvalue().splitlines()), values)


def _put(holder: dict[str, Any], name: str, value: Any) -> None:
    if value is None:
        holder.pop(name, None)
    else:
        # A copy: what the samples hold is for every step of the walk.
        holder[name] = copy.deepcopy(value)
