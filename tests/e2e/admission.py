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
        plane.must("create", "serviceaccount", "default")

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
            self.plane.must("create", "namespace", name)
            self.plane.must("create", "serviceaccount", "default", "--namespace", name)
            self._made.add(name)
