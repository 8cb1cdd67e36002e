"""build.py as people run it: it writes, it checks, and it says what is wrong with a source."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from build import main
from schemagen.outputs import outputs, stale
from schemagen.sources import DEFAULTS, SourceError, Sources, load
from support.paths import ROOT

GENERATED = [
    "charts/dpd-operator/crds/inferenceendpointconfigs.yaml",
    "charts/dpd/files/ledger.json",
    "charts/dpd/files/monitoring.json",
    "charts/dpd/files/present.json",
    "charts/dpd/values.schema.json",
    "docs/contract.md",
    "docs/reference/endpoint.md",
    "docs/reference/inferenceendpointconfig.schema.json",
    "docs/reference/metrics.md",
    "docs/reference/values.md",
    "renderer/src/dpd/contract.schema.json",
    "renderer/src/dpd/fields.json",
    "renderer/src/dpd/ledger.json",
]
# What shows neither types nor defaults.
WITHOUT_TYPES = {
    "charts/dpd/files/ledger.json",
    "charts/dpd/files/monitoring.json",
    "charts/dpd/files/present.json",
    "docs/contract.md",
    "docs/reference/metrics.md",
    "docs/reference/values.md",
    "renderer/src/dpd/fields.json",
    "renderer/src/dpd/ledger.json",
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    shutil.copytree(ROOT / "schemas", folder / "schemas", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / DEFAULTS.parent).mkdir(parents=True)
    shutil.copy(ROOT / DEFAULTS, folder / DEFAULTS)
    assert main(["--root", str(folder)]) == 0
    return folder


@pytest.fixture
def repository(built: Path, tmp_path: Path) -> Path:
    """A repository with our sources and all that is generated from them, to be spoilt."""
    return shutil.copytree(built, tmp_path / "repository")


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_the_repository_itself_is_not_stale() -> None:
    assert main(["--check"]) == 0


def test_it_writes_every_generated_file_and_no_other(repository: Path) -> None:
    found = [path.relative_to(repository).as_posix() for path in repository.rglob("*") if path.is_file()]
    sources = (
        "schemas/",
        DEFAULTS.as_posix(),
    )
    assert sorted(name for name in found if not name.startswith(sources)) == GENERATED


def test_writing_twice_gives_the_same_bytes(repository: Path) -> None:
    first = {name: (repository / name).read_bytes() for name in GENERATED}
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from build import main; sys.exit(main(['--root', sys.argv[2]]))"
    )
    command = [sys.executable, "-c", code, str(ROOT / "schemas"), str(repository)]
    assert subprocess.run(command, check=False, env={"PYTHONHASHSEED": "7"}).returncode == 0
    assert {name: (repository / name).read_bytes() for name in GENERATED} == first
    assert all(each.endswith(b"\n") and not each.endswith(b"\n\n") for each in first.values())


def test_generated_json_is_sorted(repository: Path) -> None:
    text = (repository / "charts/dpd/values.schema.json").read_text(encoding="utf-8")
    assert text == json.dumps(json.loads(text), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("name", GENERATED)
def test_a_stale_file_is_named_with_its_remedy(name: str, repository: Path, built: Path) -> None:
    files = {each: (built / each).read_text(encoding="utf-8") for each in GENERATED}
    (repository / name).write_text("edited", encoding="utf-8")
    remedy = "stale, differs from what schemas/ gives; run `make generate` and commit it"
    assert stale(repository, files) == [f"{name}: {remedy}"]


def test_check_writes_nothing(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = repository / "docs/reference/values.md"
    page.write_text("edited", encoding="utf-8")
    assert main(["--root", str(repository), "--check"]) == 1
    assert capsys.readouterr().err.startswith("docs/reference/values.md: stale")
    assert page.read_text(encoding="utf-8") == "edited"


def test_check_names_every_missing_file_at_once(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in GENERATED:
        (repository / name).unlink()
    assert main(["--root", str(repository), "--check"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines == [f"{name}: missing; run `make generate` and commit it" for name in GENERATED]


def test_a_change_of_the_contract_makes_every_file_that_shows_it_stale(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    replace(repository / "schemas/contract/pd.yaml", "default: 4096", "default: 2048")
    assert main(["--root", str(repository), "--check"]) == 1
    named = [line.split(":")[0] for line in capsys.readouterr().err.splitlines()]
    assert named == [name for name in GENERATED if name not in WITHOUT_TYPES]


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (
            "contract/pd.yaml",
            '"#/$defs/TopologySpec"',
            '"#/$defs/Topology"',
            "PdSpec.properties.topologySpec: refers to Topology, which no file defines; define it or repair the name",
        ),
        (
            "contract/edge.yaml",
            "  DnsConfig:\n",
            "  PdSpec:\n",
            "schemas/contract/pd.yaml: $defs.PdSpec: already in schemas/contract/edge.yaml; rename one of them",
        ),
        (
            "contract/worker.yaml",
            '$ref: "#/$defs/Probes"',
            '$ref: "#/$defs/Probes"\n        minProperties: 1',
            "Worker.properties.probes: minProperties beside $ref has no effect; move it into Probes",
        ),
        (
            "contract/worker.yaml",
            "io.k8s.EnvVar",
            "io.k8s.EnvVra",
            "$ref '#/$defs/io.k8s.EnvVra': the kubernetes package has no type EnvVra; "
            "write the name as Kubernetes spells it",
        ),
        (
            "values.schema.yaml",
            "  nameOverride:\n",
            "  replicas:\n",
            "schemas/values.schema.yaml: replicas: already a key of the contract; rename the chart's key",
        ),
        (
            "contract/pd.yaml",
            "#/$defs/RoleSpec",
            "RoleSpec",
            "$ref 'RoleSpec': not understood; write '#/$defs/NAME'",
        ),
    ],
)
def test_a_wrong_source_is_named_with_its_remedy_and_nothing_is_written(
    file: str, old: str, new: str, message: str, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    replace(repository / "schemas" / file, old, new)
    before = {name: (repository / name).read_bytes() for name in GENERATED}
    assert main(["--root", str(repository)]) == 1
    assert capsys.readouterr().err == f"{message}\n"
    assert {name: (repository / name).read_bytes() for name in GENERATED} == before


def test_a_source_that_is_no_yaml_is_named_without_a_traceback(repository: Path) -> None:
    (repository / "schemas/contract/pd.yaml").write_text("a: [", encoding="utf-8")
    with pytest.raises(SourceError, match=r"pd\.yaml: cannot be read: .*restore the file or repair its YAML"):
        load(repository / "schemas")


def test_a_source_that_is_a_list_is_named(repository: Path) -> None:
    (repository / "schemas/contract/pd.yaml").write_text("[]", encoding="utf-8")
    with pytest.raises(SourceError, match=r"pd\.yaml: is no mapping; a source file is a mapping with a \$defs key"):
        load(repository / "schemas")


def test_kube_writes_schemas_for_kubeconform(tmp_path: Path) -> None:
    assert main(["--kube", str(tmp_path / "kube")]) == 0
    schema: Any = json.loads((tmp_path / "kube/deployment-apps-v1.json").read_text(encoding="utf-8"))
    assert schema["properties"]["kind"]["const"] == "Deployment"


def test_outputs_do_not_change_the_sources(sources: Sources) -> None:
    assert outputs(sources) == outputs(sources)


def test_it_runs_as_a_script() -> None:
    script = subprocess.run(
        [sys.executable, str(ROOT / "schemas/build.py"), "--check"], check=False, capture_output=True, text=True
    )
    assert (script.returncode, script.stderr) == (0, "")
