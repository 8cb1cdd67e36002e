"""A running endpoint gets an autoScalingSpec: what becomes of the workers it has until KEDA has looked."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from cluster.control import ControlPlane
from dpd.cli import main
from e2e.admission import Admission
from support.paths import CASES, CHART, ROOT, TOOLS

pytestmark = pytest.mark.slow

DECODERS = 3


def values_of(name: str, folder: Path, *, scaled: bool) -> Path:
    document = yaml.safe_load((CASES / "accept/autoscaled/endpoint.yaml").read_text(encoding="utf-8"))
    document["metadata"]["name"] = name
    document["spec"]["pdSpec"]["decodingSpec"]["replicas"] = DECODERS
    if not scaled:
        del document["spec"]["pdSpec"]["autoScalingSpec"]
    manifest, values = folder / f"{scaled}.endpoint.yaml", folder / f"{scaled}.yaml"
    manifest.write_text(yaml.safe_dump(document), encoding="utf-8")
    assert main(["render", str(manifest), "--output", str(values)]) == 0
    return values


def upgrade(program: str, plane: ControlPlane, name: str, values: Path, *flags: str) -> None:
    command = [TOOLS / program, "upgrade", "--install", name, CHART, "--values", values, *flags]
    done = subprocess.run(
        [*map(str, command), f"--kubeconfig={plane.kubeconfig}"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr


def decoders(plane: ControlPlane, name: str) -> int:
    return int(json.loads(plane.must("get", "deployment", f"decode-{name}", "--output=json"))["spec"]["replicas"])


def hold(plane: ControlPlane, name: str) -> None:
    """What docs/operations.md says to type before the upgrade."""
    kept = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": f"decode-{name}"},
        "spec": {"replicas": DECODERS},
    }
    command = ("apply", "--server-side", "--field-manager=replicas", "--validate=false", "--filename=-")
    done = plane.kubectl(*command, text=json.dumps(kept))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("installer", "held", "left"), [("helm3", True, DECODERS), ("helm", False, 1)])
def test_decoders_stay_as_many_as_they_are_when_their_number_has_another_owner(
    installer: str, held: bool, left: int, admission: Admission, tmp_path: Path
) -> None:
    admission.make_namespaces(["hyperpod-inference-system"])
    name = "held" if held else "let-go"
    upgrade(installer, admission.plane, name, values_of(name, tmp_path, scaled=False))
    assert decoders(admission.plane, name) == DECODERS
    if held:
        hold(admission.plane, name)
    upgrade("helm", admission.plane, name, values_of(name, tmp_path, scaled=True), "--server-side=true")
    assert decoders(admission.plane, name) == left
