"""docs/sizing.md: every command on it is typed, and prints what stands below it. UPDATE_GOLDENS=1 writes it there."""

import json
import os
import re
import shlex
from collections.abc import Callable
from typing import Any

from dpd.explain.fields import Book
from dpd.explain.names import steps_of
from dpd.package import contract_schema, field_rows
from support.paths import ROOT

PAGE = ROOT / "docs" / "sizing.md"
_BLOCK = re.compile(r"```sh\n(?P<command>.*?)\n```\n(?:\n```text\n(?P<shown>.*?)```\n)?", re.DOTALL)


def test_every_command_of_the_page_prints_what_stands_below_it(dpd: Callable[..., Any]) -> None:
    text = PAGE.read_text(encoding="utf-8")
    said = {}
    for block in _BLOCK.finditer(text):
        program, *words = shlex.split(block["command"])
        assert program == "dpd"
        ran = dpd(*words)
        assert (ran.code, ran.err) == (0, ""), block["command"]
        said[block["command"]] = ran.out
        if block["shown"] is None:
            json.loads(ran.out)
    assert len(said) >= 9
    written = _BLOCK.sub(lambda block: _with(block, said), text)
    if os.environ.get("UPDATE_GOLDENS"):
        PAGE.write_text(written, encoding="utf-8")
    assert written == PAGE.read_text(encoding="utf-8")


def _with(block: re.Match[str], said: dict[str, str]) -> str:
    head = f"```sh\n{block['command']}\n```\n"
    return head if block["shown"] is None else f"{head}\n```text\n{said[block['command']]}```\n"


def test_what_the_tuning_table_names_exists() -> None:
    operations = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    section = operations.partition("\n## Tuning\n")[2].partition("\n## ")[0]
    monitoring = (ROOT / "schemas" / "monitoring.yaml").read_text(encoding="utf-8")
    recorded = set(re.findall(r"`(dpd:[a-z_:]+)`", section))
    assert recorded
    assert {each for each in recorded if each not in monitoring} == set()
    book = Book(contract_schema(), field_rows())
    fields = re.findall(r"^\| `([a-z]\w+\.[\w.]+)`", section, re.MULTILINE)
    assert len(fields) == 4
    assert [".".join(book.find(steps_of(each)).path) for each in fields] == [f"spec.{each}" for each in fields]
