"""A whole Kubernetes on this machine: control plane, one real node with containerd, cluster DNS. Linux, as root.

Usage: live.py up [[NAME=]ARCHIVE…]   start it and import images from OCI archives; prints the kubeconfig's path
       live.py down                   end it and put the machine back as it was

There is one at most on a machine. All of it lies in .cache/cluster/live; nothing of it can be reached from outside.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cluster import components, dns, network
from cluster.archive import write as write_image
from cluster.kubectl import Kubectl
from cluster.provision import BOX, HERE, TARGET, kubernetes_version

FOLDER = TARGET / "live"
KUBECONFIG = FOLDER / "admin.conf"
_KEYS, _PIDS = FOLDER / "keys", FOLDER / "pids"
_MEMORY = Path("/dev/shm/dpd-live")  # noqa: S108  (memory that every Linux has)
_STATE = Path("/run/dpd-live")
_SOCKET = _STATE / "containerd.sock"
_PROGRAMS = ("containerd", "runc", "ctr", "ip", "nft", "conntrack", "sysctl")
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


def up(archives: Mapping[Path, str] = MappingProxyType({})) -> Kubectl:
    """Start everything, import images (with the names they get, if not their own), wait until the node is ready.

    Raises LiveError.
    """
    if KUBECONFIG.exists():
        raise LiveError("a cluster is there already; end it first: live.py down")
    _check()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for folder in (_KEYS, _PIDS, FOLDER / "cni", _STATE):
        folder.mkdir(parents=True, exist_ok=True)
    before = {name: _output("sysctl", "-n", name) for name in _KERNEL}
    _write(FOLDER / "kernel.json", {**before, **network.up().before})
    _output(str(BOX), "certificates", str(_KEYS), components.NAME, *components.CERTIFIED)
    holders = ("kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet")
    configurations = {each: FOLDER / f"{each}.conf" for each in holders}
    for holder, path in configurations.items():
        _write(path, components.kubeconfig(_KEYS, holder))
    _start("etcd", [str(BOX), "etcd", *components.etcd(_MEMORY)])
    _start("kube-apiserver", [str(BOX), "kube-apiserver", *components.api_server(_KEYS)])
    _containers(archives)
    _write(KUBECONFIG, components.kubeconfig(_KEYS, "admin"))
    _until(lambda: plane().kubectl("get", "--raw=/readyz").returncode == 0, "the API server is not ready")
    _controllers(configurations)
    _node(configurations)
    _services(configurations)
    return plane()


def down() -> None:
    """End whatever of the cluster runs, and put the machine back."""
    for name in ("kubelet", "kube-proxy", "kube-scheduler", "kube-controller-manager"):
        _stop(name)
    if _SOCKET.exists():
        for each in _ctr("tasks", "list", "--quiet").split():
            _ctr("tasks", "delete", "--force", each)
        for each in _ctr("containers", "list", "--quiet").split():
            _ctr("containers", "delete", each)
    for name in ("kube-apiserver", "etcd", "containerd"):
        _stop(name)
    _unmount()
    settings = FOLDER / "kernel.json"
    if settings.exists():
        network.down(network.Settings(json.loads(settings.read_text(encoding="utf-8"))))
    for folder in (_MEMORY, _STATE, FOLDER):
        shutil.rmtree(folder, ignore_errors=True)


def load(archive: Path, name: str = "") -> None:
    """Import an image from an OCI archive, under its own name and, if given, another. Raises LiveError."""
    said = _must("images", "import", str(archive))
    found = re.findall(r"^unpacking (\S+) \(", said, re.MULTILINE)
    if len(found) != 1:
        raise LiveError(f"{archive}: holds {len(found)} images; give archives of one")
    for each in {_full(found[0]), _full(name) if name else ""} - {"", found[0]}:
        _must("images", "tag", "--force", found[0], each)


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


def _check() -> None:
    if os.geteuid() != 0:
        raise LiveError("a node takes root: run this as root, or set KUBECONFIG to a cluster of your own")
    missing = [each for each in _PROGRAMS if not shutil.which(each)]
    if missing:
        packages = "containerd runc containernetworking-plugins nftables conntrack iproute2"
        raise LiveError(f"not on PATH: {', '.join(missing)}; on Debian: apt-get install {packages}")
    if not BOX.exists():
        raise LiveError("there is no Kubernetes to run: `make kubernetes` builds it")


def _containers(archives: Mapping[Path, str]) -> None:
    """Start containerd and give it its images."""
    (FOLDER / "containerd.toml").write_text(_toml(components.containerd(FOLDER, _STATE)), encoding="utf-8")
    _write(FOLDER / "cni" / "dpd.conflist", components.bridge_plugin(FOLDER))
    _start("containerd", ["containerd", "--config", str(FOLDER / "containerd.toml")])
    pause = FOLDER / "pause"
    subprocess.run(
        ["go", "build", "-trimpath", "-ldflags=-s -w", "-o", str(pause), "./pause"],
        cwd=HERE,
        check=True,
        env={**os.environ, "CGO_ENABLED": "0"},
    )
    write_image(FOLDER / "pause.tar", components.PAUSE, {"pause": pause}, ["/pause"])
    _until(lambda: _ctr("version") != "", "containerd does not answer")
    for each, name in {FOLDER / "pause.tar": "", **archives}.items():
        load(each, name)


def _controllers(configurations: dict[str, Path]) -> None:
    manager, scheduler = configurations["kube-controller-manager"], configurations["kube-scheduler"]
    _start("kube-controller-manager", [str(BOX), "kube-controller-manager", *components.controllers(_KEYS, manager)])
    _start("kube-scheduler", [str(BOX), "kube-scheduler", *components.scheduler(scheduler)])


def _node(configurations: dict[str, Path]) -> None:
    (FOLDER / "resolv.conf").write_text("nameserver 127.0.0.1\n", encoding="utf-8")
    settings = FOLDER / "kubelet.json"
    _write(settings, components.kubelet(FOLDER, _KEYS, _SOCKET))
    _start(
        "kubelet",
        [
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
    _start("kube-proxy", [str(BOX), "kube-proxy", f"--config={settings}"])
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": dns.objects(BOX.resolve())})
    plane().must("apply", "--server-side", "--filename=-", text=text)
    patience = f"--timeout={int(_PATIENCE_SECONDS)}s"
    plane().must("wait", "--for=condition=Ready", f"node/{components.NAME}", patience)
    plane().must("rollout", "status", "deployment/coredns", "--namespace=kube-system", patience)


def _start(name: str, command: Sequence[str]) -> None:
    """Start a process that outlives this one; `_stop` finds it by its file."""
    log = os.open(FOLDER / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    files = [(os.POSIX_SPAWN_DUP2, nothing, 0), (os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2)]
    pid = os.posix_spawnp(command[0], list(command), os.environ, file_actions=files, setsid=True)
    for each in (log, nothing):
        os.close(each)
    (_PIDS / name).write_text(str(pid))


def _stop(name: str) -> None:
    """End a process that `_start` started, if it is still the one."""
    path = _PIDS / name
    if not path.exists():
        return
    pid = int(path.read_text())
    if _runs(pid, name):
        os.kill(pid, signal.SIGTERM if name in ("containerd", "kubelet") else signal.SIGKILL)
        deadline = time.monotonic() + 10
        while _runs(pid, name) and time.monotonic() < deadline:
            time.sleep(_PAUSE_SECONDS)
        if _runs(pid, name):
            os.kill(pid, signal.SIGKILL)
    path.unlink()


def _runs(pid: int, name: str) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return name in command and state != "Z"


def _unmount() -> None:
    ours = (f"{FOLDER.resolve()}/", f"{_STATE}/")
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for each in sorted((each for each in mounts if each.startswith(ours)), reverse=True):
        subprocess.run(["umount", "--lazy", each], capture_output=True, check=False)


def _ctr(*words: str) -> str:
    command = ["ctr", "--address", str(_SOCKET), "--namespace", "k8s.io", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""


def _until(holds: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            words = "\n".join(
                f"{path.name}: {path.read_text(errors='replace')[-800:]}" for path in FOLDER.glob("*.log")
            )
            raise LiveError(f"{otherwise}; the last words of each part:\n{words}")
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


def _archives(words: Sequence[str]) -> dict[Path, str]:
    pairs = (word.rpartition("=") for word in words)
    return {Path(path): name for name, _, path in pairs}


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
