"""The controller as a process of its own, with the rights its chart gives it and no more."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from cluster.kubectl import Kubectl
from controller.cluster import SYSTEM, until
from support.paths import CHART, ROOT, TOOLS

NAME = "hyperpod-inference-operator-controller-manager"
_METRICS = re.compile(r"metrics on port (\d+)")


def install(plane: Kubectl, folder: Path) -> Path:
    """Install the controller's chart without pods; return a kubeconfig with its service account's token."""
    chart = ROOT / "charts/dpd-operator"
    command = [TOOLS / "helm", "install", "dpd-operator", chart, "--namespace", SYSTEM, "--create-namespace"]
    flags = ["--set", "replicas=0", "--skip-crds", f"--kubeconfig={plane.kubeconfig}"]
    done = subprocess.run([*map(str, command), *flags], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    token = plane.must("create", "token", NAME, "--namespace", SYSTEM, "--duration=2h").strip()
    settings = json.loads(plane.kubeconfig.read_text(encoding="utf-8"))
    settings["users"][0]["user"] = {"token": token}
    kubeconfig = folder / "controller.conf"
    kubeconfig.write_text(json.dumps(settings), encoding="utf-8")
    return kubeconfig


class Controller:
    """One replica."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def log(self) -> str:
        """What it has said."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    @property
    def metrics_port(self) -> int:
        """Where it answers Prometheus."""
        found = until(lambda: _METRICS.search(self.log), lambda: self.log)
        return int(found[1])

    def until_it_leads(self) -> None:
        """Wait until this replica has the lease."""
        until(lambda: " leads" in self.log, lambda: self.log)

    def kill(self) -> None:
        """End it as the kernel ends a container: at once, helm included."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """Ask it to end and wait; return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@contextlib.contextmanager
def running(kubeconfig: Path, folder: Path, name: str = "controller", *more: str) -> Iterator[Controller]:
    """Run one replica until the block ends; a `--lease` among `more` is its own, so that it waits for nobody's."""
    log = folder / f"{name}.log"
    command = [sys.executable, "-m", "dpd_operator", "--helm", str(TOOLS / "helm"), "--chart", str(CHART)]
    places = ["--namespace", SYSTEM, "--lease", NAME, "--metrics-host", "127.0.0.1", "--metrics-port", "0"]
    hidden = {each for each in os.environ if each.lower().endswith("_proxy")}
    environment = {key: value for key, value in os.environ.items() if key not in hidden}
    environment |= {"KUBECONFIG": str(kubeconfig), "HOME": str(folder), "POD_NAME": name}
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*command, *places, *more], stdout=output, stderr=output, env=environment, start_new_session=True
        )
        controller = Controller(process, log)
        try:
            yield controller
        finally:
            if process.poll() is None:
                controller.kill()
            print(controller.log[-6000:])
