"""kubectl, out of kubebox, against one cluster."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cluster.provision import BOX


class ControlPlaneError(Exception):
    """The control plane did not come up, or a command against it failed; the message holds its last words."""


@dataclass(frozen=True, slots=True)
class Kubectl:
    """A cluster, by the kubeconfig of its admin."""

    kubeconfig: Path

    def kubectl(self, *arguments: str | Path, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run kubectl as cluster-admin with `text` on standard input; the caller looks at the exit status."""
        cache = self.kubeconfig.with_name("cache")
        command = [BOX, "kubectl", f"--kubeconfig={self.kubeconfig}", f"--cache-dir={cache}", *arguments]
        return subprocess.run(
            [str(each) for each in command], input=text, capture_output=True, text=True, check=False, env=environment()
        )

    def must(self, *arguments: str | Path, text: str = "") -> str:
        """Run kubectl and return what it prints; raise ControlPlaneError with its complaint when it fails."""
        done = self.kubectl(*arguments, text=text)
        if done.returncode:
            raise ControlPlaneError(f"kubectl {' '.join(map(str, arguments))}: {done.stderr}")
        return done.stdout


def environment() -> dict[str, str]:
    """What kubectl and the servers may know of ours: no proxy stands between them, no kubeconfig but the given one."""
    hidden = {"KUBECONFIG", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"}
    return {key: value for key, value in os.environ.items() if key not in hidden}
