"""What an API server says to manifests that are never stored."""

import subprocess
from collections.abc import Iterable

import yaml

from chart.helm import LOADER
from cluster.control import ControlPlane


class Admission:
    """Asks one API server; remembers which namespaces it has made there."""

    def __init__(self, plane: ControlPlane) -> None:
        self.plane = plane
        self._made = {"default"}
        self._give_account("default")

    def refusals(self, text: str, *flags: str) -> list[str]:
        """Apply manifests without storing them; return all that the API server has against them, warnings included."""
        found = [each for each in yaml.load_all(text, Loader=LOADER) if each]
        self.make_namespaces(each["metadata"].get("namespace", "default") for each in found)
        done = self.apply(text, *flags)
        said = done.stderr.splitlines()
        accepted = done.stdout.count("(server dry run)")
        return said if accepted == len(found) else [*said, f"{accepted} of {len(found)} objects accepted"]

    def apply(self, text: str, *flags: str) -> subprocess.CompletedProcess[str]:
        """Apply manifests without storing them."""
        return self.plane.kubectl("apply", "--dry-run=server", "--validate=strict", "--filename=-", *flags, text=text)

    def make_namespaces(self, names: Iterable[str]) -> None:
        """Make the namespaces that are not there, and the service account that a controller would make in each."""
        for name in sorted(set(names) - self._made):
            self.plane.kubectl("create", "namespace", name)  # or another suite on this API server has
            self._give_account(name)
            self._made.add(name)

    def _give_account(self, namespace: str) -> None:
        """Make what a controller makes elsewhere, unless another suite on this API server has."""
        self.plane.kubectl("create", "serviceaccount", "default", "--namespace", namespace)
        self.plane.must("get", "serviceaccount", "default", "--namespace", namespace)
