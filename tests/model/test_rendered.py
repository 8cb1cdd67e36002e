"""The init container as the chart renders it: its command, environment and program, laid out as a kubelet does it."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from chart.helm import manifests, of_kind, pod_spec, template, workers
from model.conftest import MODEL
from model.hub import COMMIT, Hub
from model.running import environment, held
from support.paths import CASES, CHART

PROGRAMS = sorted((CHART / "files" / "model").glob("*.py"))


def rendered(case: str, *settings: str) -> list[Any]:
    flags = [word for each in settings for word in ("--set", each)]
    return list(manifests(template("helm", CASES / "accept" / case / "values.yaml", *flags)))


def mounted(documents: list[Any], container: Any, volumes: Any, root: Path) -> None:
    """Lay a ConfigMap's files out as kubelets do: links to links, so that all of them change at once."""
    (mount,) = [each for each in container["volumeMounts"] if each["name"].endswith("-configmap")]
    (volume,) = [each for each in volumes if each["name"] == mount["name"]]
    (config,) = [
        each for each in of_kind(documents, "ConfigMap") if each["metadata"]["name"] == volume["configMap"]["name"]
    ]
    folder = root / mount["mountPath"].lstrip("/")
    (folder / "..2026").mkdir(parents=True)
    (folder / "..data").symlink_to("..2026")
    for name, text in config["data"].items():
        (folder / "..2026" / name).write_text(text)
        (folder / name).symlink_to(f"..data/{name}")


def start(documents: list[Any], root: Path, secrets: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the init container of the first worker with `root` as the root of its paths."""
    spec = pod_spec(workers(documents)[0])
    (container,) = spec["initContainers"]
    mounted(documents, container, spec["volumes"], root)
    command = [f"{root}{word}" if word.startswith("/") else word for word in container["command"]]
    given = {each["name"]: each.get("value", "") for each in container.get("env", [])}
    variables = environment(**{name: secrets.get(name, value) for name, value in given.items()})
    return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60, check=False)


def test_the_program_in_the_cluster_is_the_one_that_is_tested_here() -> None:
    documents = rendered("huggingface-prefetched")
    (config,) = [each for each in of_kind(documents, "ConfigMap") if "fetch_model.py" in each["data"]]
    assert config["data"] == {path.name: path.read_text() for path in PROGRAMS}
    assert sum(map(len, config["data"].values())) < 512 * 1024


def test_a_rendered_downloader_downloads_with_the_token_of_its_secret(hub: Hub, tmp_path: Path) -> None:
    hub.token = "hf_secret"
    settings = (
        f"modelSourceConfig.huggingFaceModel.modelId={MODEL}",
        f"modelSourceConfig.huggingFaceModel.commitSHA={COMMIT}",
        f"worker.environmentVariables[0].value={hub.url}",
    )
    done = start(rendered("huggingface-prefetched", *settings), tmp_path, {"HF_TOKEN": "hf_secret"})
    assert done.returncode == 0, done.stderr
    assert held(tmp_path / "opt/ml/model") == hub.files


def test_a_rendered_copier_copies_what_is_mounted(source: Path, tmp_path: Path, files: dict[str, bytes]) -> None:
    source.rename(tmp_path / "model-source")
    done = start(rendered("fsx-unnamed"), tmp_path, {})
    assert done.returncode == 0, done.stderr
    assert held(tmp_path / "opt/ml/model") == files


@pytest.mark.parametrize("case", ["huggingface-prefetched", "fsx-unnamed", "later-fields"])
def test_the_engine_sees_the_copy_only_and_cannot_change_it(case: str) -> None:
    for deployment in workers(rendered(case)):
        engine = pod_spec(deployment)["containers"][0]
        (mount,) = [each for each in engine["volumeMounts"] if each["mountPath"] == "/opt/ml/model"]
        assert (mount["name"], mount["readOnly"]) == ("model-weights-copy", True)
        assert "model-weights" not in {each["name"] for each in engine["volumeMounts"]}
