"""An API server on loopback: kubebox's etcd and kube-apiserver on free ports, with real certificates and RBAC.

Everything lives in one folder and ends with the `with` block. There is no controller, scheduler or node: what is
written is admitted, defaulted and stored, and nothing acts on it.
"""

import contextlib
import http
import json
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster.kubectl import ControlPlaneError, Kubectl, environment
from cluster.provision import BOX, CRDS

ADDRESS = "127.0.0.1"
_READY_SECONDS = 60.0
_PAUSE_SECONDS = 0.1


@dataclass(slots=True)
class Component:
    """One program of a control plane, kubebox's part of that name, as a process that can be started again."""

    folder: Path
    name: str
    arguments: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    command: Sequence[str] = ()

    def start(self) -> None:
        """Run it; what it says goes to a file in the folder."""
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*(self.command or (str(BOX), self.name)), *self.arguments],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=environment(),
            )

    def kill(self) -> None:
        """End it at once: nothing is worth an orderly end, the folder goes with it."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    @property
    def alive(self) -> bool:
        """Say whether it runs."""
        return self.process is not None and self.process.poll() is None


@dataclass(frozen=True, slots=True)
class ControlPlane(Kubectl):
    """A running API server, and the store behind it."""

    url: str
    keys: Path
    store: Component
    server: Component


@contextlib.contextmanager
def control_plane(folder: Path, ports: Sequence[int]) -> Iterator[ControlPlane]:
    """Run a control plane in `folder` on three free ports: the store's two and the API server's."""
    store, peers, secure = ports
    keys = folder / "keys"
    keys.mkdir()
    subprocess.run([str(BOX), "certificates", str(keys), "node", ADDRESS, "10.96.0.1"], check=True)
    url = f"https://{ADDRESS}:{secure}"
    etcd = Component(folder, "etcd", _etcd(folder, store, peers))
    server = Component(folder, "kube-apiserver", _api_server(keys, store, secure))
    plane = ControlPlane(folder / "admin.conf", url, keys, etcd, server)
    plane.kubeconfig.write_text(json.dumps(_kubeconfig(keys, url)))
    try:
        etcd.start()
        server.start()
        wait_until_ready(plane)
        yield plane
    finally:
        server.kill()
        etcd.kill()


def install_platform(plane: ControlPlane, crds: Sequence[Path]) -> None:
    """Install the platform's CustomResourceDefinitions and further ones, and wait until they are served."""
    files = [f"--filename={path}" for path in (CRDS, *crds)]
    plane.must("apply", "--server-side", *files)
    plane.must("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")


def _etcd(folder: Path, store: int, peers: int) -> list[str]:
    client, peer = f"http://{ADDRESS}:{store}", f"http://{ADDRESS}:{peers}"
    return [
        f"--data-dir={folder / 'store'}",
        # Nothing here outlives the machine.
        "--unsafe-no-fsync",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--log-level=warn",
    ]


def _api_server(keys: Path, store: int, secure: int) -> list[str]:
    return [
        f"--etcd-servers=http://{ADDRESS}:{store}",
        f"--bind-address={ADDRESS}",
        f"--advertise-address={ADDRESS}",
        f"--secure-port={secure}",
        "--service-cluster-ip-range=10.96.0.0/16",
        f"--client-ca-file={keys / 'ca.crt'}",
        f"--tls-cert-file={keys / 'kube-apiserver.crt'}",
        f"--tls-private-key-file={keys / 'kube-apiserver.key'}",
        f"--service-account-key-file={keys / 'service-account.pub'}",
        f"--service-account-signing-key-file={keys / 'service-account.key'}",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--endpoint-reconciler-type=none",
        "--allow-privileged=true",
        "--profiling=false",
    ]


def _kubeconfig(keys: Path, url: str) -> dict[str, object]:
    user = {"client-certificate": str(keys / "admin.crt"), "client-key": str(keys / "admin.key")}
    cluster = {"server": url, "certificate-authority": str(keys / "ca.crt")}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "local",
        "clusters": [{"name": "local", "cluster": cluster}],
        "users": [{"name": "admin", "user": user}],
        "contexts": [{"name": "local", "context": {"cluster": "local", "user": "admin"}}],
    }


def wait_until_ready(plane: ControlPlane) -> None:
    """Wait until the API server is ready; raise ControlPlaneError with its last words when it does not come up."""
    context = ssl.create_default_context(cafile=plane.keys / "ca.crt")
    context.load_cert_chain(plane.keys / "admin.crt", plane.keys / "admin.key")
    deadline = time.monotonic() + _READY_SECONDS
    while plane.store.alive and plane.server.alive and time.monotonic() < deadline:
        if _answers(plane.url, context):
            return
        time.sleep(_PAUSE_SECONDS)
    logs = sorted(plane.server.folder.glob("*.log"))
    words = "\n".join(path.read_text(errors="replace")[-2000:] for path in logs)
    raise ControlPlaneError(f"no API server at {plane.url}; its last words:\n{words}")


def _answers(url: str, context: ssl.SSLContext) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(f"{url}/readyz", timeout=5) as answer:
            return bool(answer.status == http.HTTPStatus.OK)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
