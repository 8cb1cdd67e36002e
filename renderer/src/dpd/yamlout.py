"""Last stop of a manifest: entries → YAML text with comments above keys.

PyYAML says how a scalar is written; strings are quoted wherever a YAML 1.1 reader (kubectl, Helm) would take them for
something else. The same entries always give the same bytes.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from textwrap import indent, wrap
from typing import Any

import yaml

from dpd import blocks
from dpd.scalars import is_plain_string

_WIDTH = 110
_NO_FOLDING = 2**31
_STEP = "  "


@dataclass(frozen=True, slots=True)
class Entry:
    """One key with its value and the comment above it; a value that is a tuple of entries becomes a mapping."""

    key: str
    value: Any
    comment: str = ""


class _Dumper(yaml.SafeDumper):
    """A safe dumper that quotes like a YAML 1.1 reader reads, and writes long texts as blocks."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write repeated values out: anchors are hard to read and to edit."""
        del data
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Indent the items of a list under their key."""
        del indentless
        super().increase_indent(flow, indentless=False)


def _string(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = None
    if _is_block(text):
        style = "|"
    elif not text.isprintable() or not is_plain_string(text):
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _is_block(text: str) -> bool:
    """Whether a text of several lines survives as a block: printable, no space ends a line, one break ends it."""
    lines = text.removesuffix("\n").split("\n")
    plain = all(line.isprintable() and line == line.rstrip() for line in lines)
    return plain and "\n" in text and bool(lines[-1]) and lines[0][:1].strip() != ""


_Dumper.add_representer(str, _string)


def write(header: Iterable[str], entries: Iterable[Entry]) -> str:
    """Return the YAML document of `entries` under the comment lines `header`."""
    top = "".join(f"# {line}".rstrip() + "\n" for line in header)
    sections = "".join("\n" * _stands_apart(run[0]) + _run(run) for run in _runs(entries))
    return (top + sections).lstrip("\n")


def _stands_apart(entry: Entry) -> bool:
    return bool(entry.comment) or _has_comments(entry)


def _has_comments(entry: Entry) -> bool:
    return isinstance(entry.value, tuple) and any(map(_stands_apart, entry.value))


def _runs(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Yield entries that have no comment between them, for the serializer to write in one go: each one costs."""
    run: list[Entry] = []
    for each in entries:
        if run and (_stands_apart(each) or _has_comments(run[-1])):
            yield run
            run = []
        run.append(each)
    if run:
        yield run


def _run(run: list[Entry]) -> str:
    first = run[0]
    if not _has_comments(first):
        return _comment(first.comment) + _dump(_plain(run))
    key = _dump({first.key: True}).removesuffix(" true\n")
    return f"{_comment(first.comment)}{key}\n{indent(''.join(map(_run, _runs(first.value))), _STEP)}"


def _plain(entries: Iterable[Entry]) -> dict[str, Any]:
    return {each.key: _plain(each.value) if isinstance(each.value, tuple) else each.value for each in entries}


def _dump(value: dict[str, Any]) -> str:
    quick = blocks.text(value, _scalar)
    return emitted(value) if quick is None else quick


def emitted(value: Any) -> str:
    """Return a value's YAML as PyYAML writes it."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_NO_FOLDING)
    return text


def _scalar(value: Any) -> str:
    return _kept(value) if type(value) in (str, int, bool) else _in_list(value)


@lru_cache(4096, typed=True)
def _kept(value: str | int | bool) -> str:
    """Remember how keys and common values are written: one emitter costs as much as the rest of a mapping."""
    return _in_list(value)


def _in_list(value: Any) -> str:
    return emitted([value])[len("- ") : -len("\n")]


def _comment(text: str) -> str:
    return "".join(f"# {line}\n" for line in wrap(text, _WIDTH, break_long_words=False, break_on_hyphens=False))
