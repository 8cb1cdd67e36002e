"""The live cluster's network: one bridge that pods hang on, and a wall between it and every other interface.

Nothing of the cluster may leave the machine: its addresses mean something else outside.
"""

import json
import subprocess
from dataclasses import dataclass

BRIDGE = "dpd0"
NODE = "10.88.0.1"
PODS, SERVICES = "10.88.0.0/16", "10.96.0.0/16"
DNS, API = "10.96.0.10", "10.96.0.1"
_TABLE = "dpd_wall"
# What answers on the node, and NodePorts.
_PORTS = "{ 2379, 2380, 6443, 10248-10259, 30000-32767 }"


@dataclass(frozen=True, slots=True)
class Settings:
    """Kernel settings as they were before, to be put back."""

    before: dict[str, str]


def up() -> Settings:
    """Make the bridge and the wall; return what was changed. Raises CalledProcessError."""
    before = _sysctl("net.ipv4.ip_forward")
    if not _has_bridge():
        _run("ip", "link", "add", BRIDGE, "type", "bridge")
    _run("ip", "address", "replace", f"{NODE}/16", "dev", BRIDGE)
    _run("ip", "link", "set", BRIDGE, "up")
    # A Service's address that nothing translates ends on the bridge; it never takes the default route.
    _run("ip", "route", "replace", SERVICES, "dev", BRIDGE)
    for each in (PODS, SERVICES):
        _run("ip", "route", "replace", "blackhole", each, "metric", "4096")
    _run("nft", "-f", "-", text=_wall(_outside()))
    _run("sysctl", "-qw", "net.ipv4.ip_forward=1")
    return Settings(before)


def down(settings: Settings) -> None:
    """Remove what `up` made and what kube-proxy left behind."""
    for name in [each for each in _namespaces() if each.startswith("cni-")]:
        _try("ip", "netns", "delete", name)
    _try("ip", "link", "delete", BRIDGE)
    for each in (PODS, SERVICES):
        _try("ip", "route", "delete", "blackhole", each, "metric", "4096")
    for family, table in (("inet", _TABLE), ("ip", "kube-proxy"), ("ip6", "kube-proxy")):
        _try("nft", "delete", "table", family, table)
    for name, value in settings.before.items():
        _try("sysctl", "-qw", f"{name}={value}")


def remains() -> list[str]:
    """Return what is there of all that `up` makes and that pods and kube-proxy add."""
    tables = [line for line in _run("nft", "list", "tables").splitlines() if _TABLE in line or "kube-proxy" in line]
    pods = [f"network namespace {name}" for name in _namespaces() if name.startswith("cni-")]
    return [*tables, *pods, *([f"bridge {BRIDGE}"] if _has_bridge() else [])]


def _wall(outside: str) -> str:
    ours = f"{{ {PODS}, {SERVICES} }}"
    rules = [
        f"add table inet {_TABLE}",
        f"flush table inet {_TABLE}",
        f"add chain inet {_TABLE} through {{ type filter hook forward priority -300; }}",
        f"add rule inet {_TABLE} through iifname {outside} counter drop",
        f"add rule inet {_TABLE} through oifname {outside} counter drop",
        f"add chain inet {_TABLE} out {{ type filter hook postrouting priority 300; }}",
        f"add rule inet {_TABLE} out oifname {outside} ip daddr {ours} counter drop",
        f"add rule inet {_TABLE} out oifname {outside} ip saddr {ours} counter drop",
        f"add chain inet {_TABLE} in {{ type filter hook input priority -300; }}",
        f"add rule inet {_TABLE} in iifname {outside} ip daddr {ours} drop",
        f"add rule inet {_TABLE} in iifname {outside} tcp dport {_PORTS} drop",
    ]
    return "\n".join(rules) + "\n"


def _outside() -> str:
    found = json.loads(_run("ip", "-json", "-4", "route", "show", "default"))
    return str(found[0]["dev"]) if found else "none"


def _has_bridge() -> bool:
    return subprocess.run(["ip", "link", "show", BRIDGE], capture_output=True, check=False).returncode == 0


def _namespaces() -> list[str]:
    lines = _run("ip", "netns", "list").splitlines()
    return [line.split()[0] for line in lines if line.strip()]


def _sysctl(*names: str) -> dict[str, str]:
    return {name: _run("sysctl", "-n", name).strip() for name in names}


def _run(*command: str, text: str = "") -> str:
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout


def _try(*command: str) -> None:
    subprocess.run(command, capture_output=True, check=False)
