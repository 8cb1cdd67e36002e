"""What a reader is told to type works: the commands of the notes, the values file of the chart's README."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import yaml

from chart.helm import manifests, of_kind, role_of, template
from support.paths import CHART, TOOLS

PAGE = CHART / "ci" / "shapes" / "dpd-values.yaml"


def notes(values: Path) -> str:
    command = [str(TOOLS / "helm"), "install", "x", str(CHART), "--values", str(values), "--dry-run=client"]
    done = subprocess.run([*command, "--hide-notes=false"], capture_output=True, text=True, check=True)
    return done.stdout.split("\nNOTES:\n")[1]


def commands(text: str) -> list[str]:
    """The commands of the notes: blocks indented by two, in which a line indented deeper belongs to the one before."""
    found: list[str] = []
    for line in text.splitlines():
        if re.match(r"  \S", line):
            found.append(line[2:])
        elif found and line.startswith("    "):
            found[-1] += "\n" + line
    return [command for command in found if command.startswith("kubectl ")]


def sent(command: str) -> Any:
    """Run a command with a kubectl that runs the pod's part of it, and a curl that prints what it would send."""
    script = """
    curl() { while [ "$1" != -d ]; do shift; done; if [ "$2" = @- ]; then cat; else printf %s "$2"; fi; }
    export -f curl
    kubectl() { while [ "$1" != -- ]; do shift; done; shift; if [ "$1" = sh ]; then bash -c "$3"; else "$@"; fi; }
    """
    done = subprocess.run(["bash", "-c", script + command], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def prompt(body: Any) -> str:
    (message,) = body["messages"]
    content: str = message["content"]
    return content


def test_every_command_of_the_notes_is_one_that_a_shell_reads() -> None:
    found = commands(notes(PAGE))
    assert len(found) == 9
    for command in found:
        subprocess.run(["bash", "-n"], input=command, text=True, check=True)


def test_the_short_and_the_long_prompt_lie_on_either_side_of_the_threshold() -> None:
    short, long = (sent(each) for each in commands(notes(PAGE)) if each.startswith("kubectl run"))
    assert short["model"] == long["model"] == "/opt/ml/model"
    assert len(prompt(short)) // 4 < 4096 <= len(prompt(long)) // 4


def test_the_values_file_of_the_readme_renders_a_disaggregated_endpoint(tmp_path: Path) -> None:
    (written,) = re.findall(r"```yaml\n(# values.yaml\n.*?)```", (CHART / "README.md").read_text(), re.DOTALL)
    file = tmp_path / "values.yaml"
    file.write_text(written)
    assert yaml.safe_load(written)["pdSpec"]
    found = {role_of(each) for each in of_kind(manifests(template("helm", file)), "Deployment")}
    assert found == {"prefill", "decode", "router"}
