import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from dpd.yamlout import Entry, write
from support.paths import CASES, TOOLS

pytestmark = pytest.mark.slow

ACCEPTED = sorted(CASES.glob("accept/*/values.yaml"))


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a chart that says what Helm understood."""
    chart = tmp_path_factory.mktemp("echo")
    (chart / "templates").mkdir()
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: echo\nversion: 0.0.1\n")
    (chart / "templates" / "echo.yaml").write_text("values: {{ .Values | toJson | quote }}\n")
    return chart


def understood(values: Path, echo: Path) -> Any:
    command = [TOOLS / "helm", "template", "x", echo, "--values", values]
    done = subprocess.run([str(each) for each in command], capture_output=True, text=True, check=True)
    return json.loads(yaml.safe_load(done.stdout)["values"])


@pytest.mark.parametrize("path", ACCEPTED, ids=lambda path: path.parent.name)
def test_helm_reads_the_values_as_python_does(path: Path, echo: Path) -> None:
    assert understood(path, echo) == yaml.safe_load(path.read_text(encoding="utf-8"))


def test_helm_reads_every_doubtful_word_as_the_string_it_was(echo: Path, tmp_path: Path) -> None:
    words = [
        "no",
        "y",
        "N",
        "on",
        "1.10",
        "0x1",
        "0o7",
        "017",
        "08",
        "1e3",
        "1_000",
        "22:30",
        "2024-01-01",
        "~",
        "",
        "<<",
    ]
    words += [
        "=",
        ".inf",
        "null",
        "a\tb",
        "\x85",
        "\u2028",
        "x\ny",
        "x\n\n",
        "\n",
        " a ",
        "🦊",
        "{{ x }}",
        "a: b",
        "#",
        "0b1",
    ]
    path = tmp_path / "values.yaml"
    path.write_text(write((), [Entry("words", words), Entry("keys", {each: 1 for each in words if each})]), "utf-8")
    read_back = understood(path, echo)
    assert read_back["words"] == words
    assert set(read_back["keys"]) == {each for each in words if each}
