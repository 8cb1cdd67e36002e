"""A whole Kubernetes on this machine: control plane, one real node with containerd, cluster DNS. Linux, as root.

Usage: live.py up [[NAME=]ARCHIVE…]   start it and import images from archives; prints the kubeconfig's path
       live.py down                   end it and put the machine back as it was

There is one at most on a machine. All of it lies in .cache/cluster/live; nothing of it can be reached from outside.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import gobuild
from cluster import components, dns, groups, host, hugepages, network
from cluster.archive import write as write_image
from cluster.claim import Claim, ClaimedError
from cluster.daemons import Daemons, running
from cluster.kubectl import Kubectl
from cluster.provision import BOX, HERE, TARGET, kubernetes_version
from debian import UnavailableError

FOLDER = TARGET / "live"
KUBECONFIG = FOLDER / "admin.conf"
_KEYS = FOLDER / "keys"
_MEMORY = Path("/dev/shm/dpd-live")  # noqa: S108  (memory that every Linux has)
_STATE = Path("/run/dpd-live")
_SOCKET = _STATE / "containerd.sock"
_DAEMONS = Daemons(FOLDER)
_CLAIM = Claim()
_PATIENCE_SECONDS = 180.0
_PAUSE_SECONDS = 0.1
# The kubelet sets these for itself.
_KERNEL = ("vm.overcommit_memory", "kernel.panic", "kernel.panic_on_oops")
# What a node of eight GPUs offers besides; the machine's own cpu and memory stay as they are.
DEVICES = {"nvidia.com/gpu": "64", "vpc.amazonaws.com/efa": "128"}


class LiveError(Exception):
    """The cluster cannot be had here, or did not come up; the message says why."""


def plane() -> Kubectl:
    """The running cluster."""
    return Kubectl(KUBECONFIG)


def up(archives: Mapping[Path, Sequence[str]] = MappingProxyType({})) -> Kubectl:
    """Start everything, import images (with the names they get beside their own), wait until the node is ready.

    Raises LiveError.
    """
    if KUBECONFIG.exists():
        raise LiveError("a cluster is there already; end it first: make cluster-down")
    plugins = _check()
    FOLDER.mkdir(parents=True, exist_ok=True)
    try:
        _CLAIM.take(FOLDER)
    except ClaimedError as error:
        raise LiveError(str(error)) from error
    for folder in (_KEYS, FOLDER / "cni", _STATE):
        folder.mkdir(parents=True, exist_ok=True)
    before = {name: _output("sysctl", "-n", name) for name in _KERNEL}
    _write(FOLDER / "kernel.json", {**before, **network.up().before})
    _output(str(BOX), "certificates", str(_KEYS), components.NAME, *components.CERTIFIED)
    holders = ("kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet")
    configurations = {each: FOLDER / f"{each}.conf" for each in holders}
    for holder, path in configurations.items():
        _write(path, components.kubeconfig(_KEYS, holder))
    _DAEMONS.start("etcd", [str(BOX), "etcd", *components.etcd(_MEMORY)])
    _DAEMONS.start("kube-apiserver", [str(BOX), "kube-apiserver", *components.api_server(_KEYS)])
    _containers(archives, plugins)
    _write(KUBECONFIG, components.kubeconfig(_KEYS, "admin"))
    _until(lambda: plane().kubectl("get", "--raw=/readyz").returncode == 0, "the API server is not ready")
    _controllers(configurations)
    _node(configurations)
    _services(configurations)
    return plane()


def down() -> None:
    """End whatever of the cluster runs, and put the machine back; nothing happens when it is another checkout's."""
    if not _CLAIM.is_for(FOLDER):
        return
    host.ready()
    for name in ("kubelet", "kube-proxy", "kube-scheduler", "kube-controller-manager"):
        _DAEMONS.stop(name)
    if _SOCKET.exists():
        for each in _ctr("tasks", "list", "--quiet").split():
            _ctr("tasks", "delete", "--force", each)
        for each in _ctr("containers", "list", "--quiet").split():
            _ctr("containers", "delete", each)
    for name in ("kube-apiserver", "etcd", "containerd"):
        _DAEMONS.stop(name)
    _unmount()
    groups.remove()
    settings = FOLDER / "kernel.json"
    if settings.exists():
        network.down(network.Settings(json.loads(settings.read_text(encoding="utf-8"))))
    for folder in (_MEMORY, _STATE, FOLDER):
        shutil.rmtree(folder, ignore_errors=True)
    _CLAIM.give_back(FOLDER)


def restart(name: str) -> None:
    """End one part of the running cluster as a crash would, and start it again; wait until the API server answers."""
    _DAEMONS.restart(name)
    _until(lambda: plane().kubectl("get", "--raw=/readyz").returncode == 0, "the API server is not ready")


def remains() -> list[str]:
    """Return what is left of a cluster that was ended: processes, mounts, networks. Nothing, if all is well."""
    return [
        *running([str(FOLDER), str(FOLDER.resolve()), str(_STATE)]),
        *_mounts(),
        *network.remains(),
        *groups.there(),
    ]


def load(archive: Path, names: Sequence[str] = ()) -> None:
    """Import an image from an archive, Docker's or OCI's, under its own name and others. Raises LiveError."""
    said = _must("images", "import", str(archive))
    found: dict[str, str] = dict(re.findall(r"^unpacking (\S+) \((\S+)\)", said, re.MULTILINE))
    held = len(set(found.values()))
    if held != 1:
        raise LiveError(f"{archive}: holds {held} images; give archives of one")
    for each in {_full(name) for name in (*found, *names)} - found.keys():
        _must("images", "tag", "--force", next(iter(found)), each)


def _full(name: str) -> str:
    """A name as the kubelet looks it up: what has no registry is Docker Hub's."""
    first, slash, _ = name.partition("/")
    if slash and (first == "localhost" or "." in first or ":" in first):
        return name
    return f"docker.io/{name}" if slash else f"docker.io/library/{name}"


def _must(*words: str) -> str:
    command = ["ctr", "--address", str(_SOCKET), "--namespace", "k8s.io", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LiveError(f"ctr {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


def _check() -> Path:
    """Return the folder of the network plugins. Raises LiveError."""
    if os.geteuid() != 0:
        raise LiveError("a node takes root: run this as root, or let DPD_CLUSTER name the kubeconfig of a cluster")
    if not BOX.exists():
        raise LiveError("there is no Kubernetes to run: `make kubernetes` builds it")
    try:
        return host.ready()
    except UnavailableError as error:
        raise LiveError(f"{error}; on Debian: apt-get install {' '.join(host.PACKAGES)}") from error


def _containers(archives: Mapping[Path, Sequence[str]], plugins: Path) -> None:
    """Start containerd and give it its images."""
    (FOLDER / "containerd.toml").write_text(_toml(components.containerd(FOLDER, _STATE, plugins)), encoding="utf-8")
    _write(FOLDER / "cni" / "dpd.conflist", components.bridge_plugin(FOLDER))
    _DAEMONS.start("containerd", ["containerd", "--config", str(FOLDER / "containerd.toml")])
    pause = FOLDER / "pause"
    gobuild.build(HERE / "pause", pause)
    write_image(FOLDER / "pause.tar", components.PAUSE, {"pause": pause}, ["/pause"])
    _until(lambda: _ctr("version") != "", "containerd does not answer")
    for each, names in {FOLDER / "pause.tar": (), **archives}.items():
        load(each, names)


def _controllers(configurations: dict[str, Path]) -> None:
    manager, scheduler = configurations["kube-controller-manager"], configurations["kube-scheduler"]
    _DAEMONS.start(
        "kube-controller-manager", [str(BOX), "kube-controller-manager", *components.controllers(_KEYS, manager)]
    )
    _DAEMONS.start("kube-scheduler", [str(BOX), "kube-scheduler", *components.scheduler(scheduler)])


def _node(configurations: dict[str, Path]) -> None:
    (FOLDER / "resolv.conf").write_text("nameserver 127.0.0.1\n", encoding="utf-8")
    settings = FOLDER / "kubelet.json"
    _write(settings, components.kubelet(FOLDER, _KEYS, _SOCKET))
    _DAEMONS.start(
        "kubelet",
        [
            *hugepages.command(FOLDER, FOLDER / "kubelet"),
            str(BOX),
            "kubelet",
            f"--config={settings}",
            f"--kubeconfig={configurations['kubelet']}",
            f"--hostname-override={components.NAME}",
            f"--node-ip={network.NODE}",
            f"--root-dir={FOLDER / 'kubelet'}",
            f"--cert-dir={_KEYS}",
        ],
    )
    node = f"node/{components.NAME}"
    _until(lambda: plane().kubectl("get", node).returncode == 0, "no node registers")
    labels = {"node.kubernetes.io/instance-type": "ml.p5.48xlarge", "topology.kubernetes.io/zone": "local-1a"}
    plane().must("label", node, *(f"{key}={value}" for key, value in labels.items()))
    # What device plugins would advertise; the kubelet keeps it.
    patch = json.dumps({"status": {"capacity": DEVICES}})
    plane().must("patch", node, "--subresource=status", "--type=merge", f"--patch={patch}")


def _services(configurations: dict[str, Path]) -> None:
    settings = FOLDER / "kube-proxy.json"
    _write(settings, components.kube_proxy(configurations["kube-proxy"]))
    _DAEMONS.start("kube-proxy", [str(BOX), "kube-proxy", f"--config={settings}"])
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": dns.objects(BOX.resolve())})
    plane().must("apply", "--server-side", "--filename=-", text=text)
    patience = f"--timeout={int(_PATIENCE_SECONDS)}s"
    plane().must("wait", "--for=condition=Ready", f"node/{components.NAME}", patience)
    plane().must("rollout", "status", "deployment/coredns", "--namespace=kube-system", patience)


def _unmount() -> None:
    for each in sorted(_mounts(), reverse=True):
        subprocess.run(["umount", "--lazy", each], capture_output=True, check=False)


def _mounts() -> list[str]:
    ours = (f"{FOLDER.resolve()}/", f"{_STATE}/")
    found = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    return [each for each in found if each.startswith(ours)]


def _ctr(*words: str) -> str:
    command = ["ctr", "--address", str(_SOCKET), "--namespace", "k8s.io", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""


def _until(holds: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise LiveError(f"{otherwise}; the last words of each part:\n{_DAEMONS.words()}")
        time.sleep(_PAUSE_SECONDS)


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")


def _toml(table: Any, path: tuple[str, ...] = ()) -> str:
    """Write tables as TOML: JSON's scalars and lists of strings are TOML's."""
    plain = [f"{json.dumps(key)} = {json.dumps(each)}" for key, each in table.items() if not isinstance(each, dict)]
    head = [f"[{'.'.join(json.dumps(step) for step in path)}]"] if path else []
    inner = [_toml(each, (*path, key)) for key, each in table.items() if isinstance(each, dict)]
    return "\n".join([*head, *plain, *inner])


def _archives(words: Sequence[str]) -> dict[Path, tuple[str, ...]]:
    pairs = (word.rpartition("=") for word in words)
    return {Path(path): (name,) if name else () for name, _, path in pairs}


def main(arguments: Sequence[str]) -> int:
    """Entry point; returns the exit status."""
    if arguments[:1] == ["down"]:
        down()
        return 0
    if arguments[:1] != ["up"]:
        print(__doc__, file=sys.stderr)
        return 2
    began = time.monotonic()
    try:
        up(_archives(arguments[1:]))
    except LiveError as error:
        print(f"live.py: {error}", file=sys.stderr)
        return 1
    print(f"Kubernetes {kubernetes_version()}, {time.monotonic() - began:.0f} s; export KUBECONFIG={KUBECONFIG}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
