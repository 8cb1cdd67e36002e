"""First stop of a manifest: bytes → documents with line numbers, or problems that carry a line.

The file is read event by event rather than with a YAML loader: that is what gives every value its line, refuses a key
that is written twice, and bounds size, depth and alias expansion before anything is built from them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from dpd.document import Document
from dpd.problems import FieldPath, Problem, short, shown
from dpd.scalars import NotFiniteError, resolve

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 64
MAX_VALUES = 50_000

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_RESOLVED_TAGS = frozenset(_TAG + each for each in ("int", "float", "bool", "null"))
_PLAIN_TAGS = frozenset({None, "!", *(_TAG + each for each in ("str", "map", "seq", "timestamp"))})


@dataclass(frozen=True, slots=True)
class Reading:
    """What a file holds: the documents read until the first thing that cannot be read, and the problems met."""

    documents: tuple[Document, ...]
    problems: tuple[Problem, ...]


class _RefusedError(Exception):
    """Reading cannot go on; the problem says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.text)
        self.problem = problem


@dataclass(slots=True)
class _Anchor:
    value: Any = None
    size: int = 0
    complete: bool = False


@dataclass(slots=True)
class _Draft:
    """A document under construction."""

    line: int
    lines: dict[FieldPath, int] = field(default_factory=dict)
    written: dict[FieldPath, str] = field(default_factory=dict)
    anchors: dict[str, _Anchor] = field(default_factory=dict)
    refused: set[FieldPath] = field(default_factory=set)


def read(data: bytes) -> Reading:
    """Read the documents of one file. Never raises for bad content; empty documents are left out."""
    problem = _unreadable(data)
    if problem is not None:
        return Reading((), (problem,))
    builder = _Builder(data.decode("utf-8-sig"))
    documents: list[Document] = []
    try:
        documents.extend(each for each in builder.documents() if each.value is not None)
    except _RefusedError as refusal:
        return Reading(tuple(documents), (*builder.problems, refusal.problem))
    if not documents and not builder.problems:
        builder.problems.append(
            Problem((), "the file holds no document", "write one InferenceEndpointConfig into it", line=1)
        )
    return Reading(tuple(documents), tuple(builder.problems))


def _unreadable(data: bytes) -> Problem | None:
    if len(data) > MAX_BYTES:
        fact = f"the file is larger than {MAX_BYTES // 1024} KiB"
        return Problem((), fact, "split it; one endpoint takes a few KiB", line=1)
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return Problem((), f"the file is not UTF-8 text (byte {error.start + 1})", "save it as UTF-8", line=line)
    return None


class _Builder:
    """Turns the events of one file into documents."""

    def __init__(self, text: str) -> None:
        self.problems: list[Problem] = []
        self._text = text
        self._events = self._parse(text)
        self._values = 0
        self._draft = _Draft(line=1)

    def documents(self) -> Iterator[Document]:
        """Yield the documents one by one. Raises _RefusedError where reading must stop."""
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                first = next(self._events)
                self._draft = _Draft(line=first.start_mark.line + 1)
                value = self._node(first, (), 0)
                draft = self._draft
                yield Document(value, draft.line, draft.lines, draft.written, frozenset(draft.refused))

    def _parse(self, text: str) -> Iterator[Any]:
        try:
            yield from yaml.parse(text, Loader=_LOADER)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = mark.line + 1 if mark else 1
            begun = f" begun on line {error.context_mark.line + 1}" if error.context_mark else ""
            said = ", ".join(each for each in (error.context and error.context + begun, error.problem) if each)
            raise _RefusedError(
                Problem((), f"not YAML: {said}", "look at this line and the one before it", line=line)
            ) from None
        except yaml.YAMLError as error:
            position = getattr(error, "position", 0)
            line = text.encode("utf-8", "surrogatepass").count(b"\n", 0, position) + 1
            reason = getattr(error, "reason", "it cannot be parsed")
            raise _RefusedError(Problem((), f"not YAML: {reason}", "remove that character", line=line)) from None

    def _refuse(self, event: Any, path: FieldPath, fact: str, remedy: str) -> NoReturn:
        raise _RefusedError(Problem(path, fact, remedy, line=event.start_mark.line + 1))

    def _count(self, event: Any, path: FieldPath, values: int) -> None:
        self._values += values
        if self._values > MAX_VALUES:
            fact = f"the file holds more than {MAX_VALUES} values once its aliases are followed"
            self._refuse(event, path, fact, "write out what the aliases repeat, or split the file")

    def _node(self, event: Any, path: FieldPath, depth: int) -> Any:
        if depth > MAX_DEPTH:
            self._refuse(event, path[:3], f"nested deeper than {MAX_DEPTH} levels", "flatten it")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, path)
        self._count(event, path, 1)
        before = self._values
        anchor = _Anchor()
        if event.anchor:
            self._draft.anchors[event.anchor] = anchor
        anchor.value = self._content(event, path, depth)
        anchor.size, anchor.complete = self._values - before + 1, True
        return anchor.value

    def _content(self, event: Any, path: FieldPath, depth: int) -> Any:
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, path)
        self._check_tag(event, path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path, depth)
        return self._mapping(path, depth)

    def _alias(self, event: Any, path: FieldPath) -> Any:
        anchor = self._draft.anchors.get(event.anchor)
        if anchor is None:
            self._refuse(
                event, path, f"alias *{short(event.anchor)} has no anchor before it", "define it, or write the value"
            )
        if not anchor.complete:
            self._refuse(event, path, f"alias *{short(event.anchor)} lies inside its own anchor", "write the value out")
        self._count(event, path, anchor.size)
        return anchor.value

    def _check_tag(self, event: Any, path: FieldPath) -> None:
        if event.tag not in _PLAIN_TAGS and event.tag not in _RESOLVED_TAGS:
            self._refuse(event, path, f"tag {short(event.tag)} is not known to Kubernetes", "remove the tag")

    def _scalar(self, event: Any, path: FieldPath) -> Any:
        self._check_tag(event, path)
        word: str = event.value
        if not event.value.isascii() and any("\ud800" <= char <= "\udfff" for char in word):
            self._refuse(event, path, "holds half of a surrogate pair", "write the character itself")
        plain = not event.style and event.tag in (None, "!") and event.implicit[0]
        if not plain and event.tag not in _RESOLVED_TAGS:
            return word
        try:
            value = resolve(word)
        except NotFiniteError:
            remedy = "write a finite number, or put it in quotes"
            self._draft.refused.add(path)
            self.problems.append(
                Problem(path, f"{short(word)} is a number JSON cannot carry", remedy, line=event.start_mark.line + 1)
            )
            return 0
        if value is not word and value is not None:
            self._draft.written[path] = word
        return value

    def _sequence(self, path: FieldPath, depth: int) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            where = (*path, len(items))
            self._draft.lines[where] = event.start_mark.line + 1
            items.append(self._node(event, where, depth + 1))
        return items

    def _mapping(self, path: FieldPath, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        key_lines: dict[str, int] = {}
        merged: list[Any] = []
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            line = event.start_mark.line + 1
            key = self._key(event, path)
            if key == "<<" and not event.style:
                merged.append(self._merge(path, depth))
                continue
            where = (*path, key)
            if key in key_lines:
                fact = f"written twice, on lines {key_lines[key]} and {line}"
                self.problems.append(Problem(where, fact, "keep one of them", line=line))
                self._node(next(self._events), (*where, "(again)"), depth + 1)
                continue
            key_lines[key] = self._draft.lines[where] = line
            found[key] = self._node(next(self._events), where, depth + 1)
        for each in merged:
            found = {**each, **found}
        return found

    def _merge(self, path: FieldPath, depth: int) -> dict[str, Any]:
        event = next(self._events)
        value = self._node(event, (*path, "<<"), depth + 1)
        parts = value if isinstance(value, list) else [value]
        if not all(isinstance(each, dict) for each in parts):
            self._refuse(event, (*path, "<<"), "merges something that is not a mapping", "merge mappings only")
        return {key: each for part in reversed(parts) for key, each in part.items()}

    def _key(self, event: Any, path: FieldPath) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            self._refuse(event, path, "a key of this mapping is not a word", "write keys as plain strings")
        word: str = event.value
        if event.anchor:
            self._draft.anchors[event.anchor] = _Anchor(word, 1, complete=True)
        if not event.style and resolve_or_none(word) in (True, False, None):
            fact = f"key {shown(word)} is read as {'true, false or null'}"
            self._refuse(event, path, fact, "put the key in quotes")
        return word


def resolve_or_none(word: str) -> Any:
    """What an unquoted key stands for; a number counts as its text, since JSON keys are strings."""
    try:
        value = resolve(word)
    except NotFiniteError:
        return word
    return word if isinstance(value, int | float) and not isinstance(value, bool) else value
