"""Second stop: one container of a pod template as a command, an environment and files. Decides only.

What a kubelet would do and a process needs: `$(VAR)` expansion, the downward API, ConfigMap and emptyDir mounts.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dpd_local.manifests import Manifests, Object, pod

_REFERENCE = re.compile(r"\$(\$|\(([A-Za-z_][A-Za-z0-9_.-]*)\))")
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Mounts:
    """Where the container's paths lie here, and which files they hold.

    `folders` maps a mount path to a local folder; `files` maps a local file to its text.
    """

    folders: Mapping[str, Path]
    files: Mapping[Path, str] = field(default_factory=dict)

    def local(self, path: str) -> str:
        """The local spelling of a path in the container; any other text comes back as it is."""
        for mount in sorted(self.folders, key=len, reverse=True):
            if path == mount or path.startswith(mount.rstrip("/") + "/"):
                return str(self.folders[mount]) + path[len(mount.rstrip("/")) :]
        return path


def expand(text: str, environment: Mapping[str, str]) -> str:
    """Kubernetes' `$(VAR)` expansion: an unknown name stays as written, `$$` is a dollar sign."""

    def replace(match: re.Match[str]) -> str:
        """What stands for one reference."""
        if match.group(1) == "$":
            return "$"
        return environment.get(match.group(2), match.group(0))

    return _REFERENCE.sub(replace, text)


def mounts(manifests: Manifests, deployment: Object, container: Object, folder: Path) -> Mounts:
    """Map the container's ConfigMap and emptyDir mounts below `folder`; volumes with a model stay where they are."""
    volumes = {each["name"]: each for each in pod(deployment)["spec"].get("volumes", [])}
    folders: dict[str, Path] = {}
    files: dict[Path, str] = {}
    for mount in container.get("volumeMounts", []):
        volume = volumes[mount["name"]]
        path: str = mount["mountPath"]
        local = folder / path.strip("/").replace("/", "-")
        if "configMap" in volume:
            data = manifests.config_map(volume["configMap"]["name"])
            wanted = {mount["subPath"]: local} if "subPath" in mount else {key: local / key for key in data}
            files |= {target: data[key] for key, target in wanted.items()}
        if "configMap" in volume or "emptyDir" in volume:
            folders[path] = local
    return Mounts(folders, files)


def environment(
    manifests: Manifests, deployment: Object, container: Object, secrets: Mapping[str, str]
) -> dict[str, str]:
    """The container's environment after expansion, in the order of the pod spec.

    `secrets` stands in for the cluster's Secrets: a variable that comes from one takes the value of its own name there,
    and is left out when there is none.
    """
    name = deployment["metadata"]["name"]
    fields = {
        "status.podIP": LOOPBACK,
        "status.hostIP": LOOPBACK,
        "metadata.name": f"{name}-local",
        "metadata.namespace": deployment["metadata"].get("namespace", "default"),
        "metadata.uid": f"{name}-local",
        "spec.nodeName": "local",
    }
    result: dict[str, str] = {}
    for variable in container.get("env", []):
        source = variable.get("valueFrom")
        if source is None:
            result[variable["name"]] = expand(str(variable.get("value", "")), result)
        elif "fieldRef" in source and source["fieldRef"]["fieldPath"] in fields:
            result[variable["name"]] = fields[source["fieldRef"]["fieldPath"]]
        elif "configMapKeyRef" in source:
            reference = source["configMapKeyRef"]
            result[variable["name"]] = manifests.config_map(reference["name"])[reference["key"]]
        elif variable["name"] in secrets:
            result[variable["name"]] = secrets[variable["name"]]
    return result


def arguments(container: Object, variables: Mapping[str, str]) -> list[str]:
    """The container's args after expansion."""
    return [expand(str(each), variables) for each in container.get("args", [])]


def flag(args: Sequence[str], name: str) -> str | None:
    """The last value of a `--flag value` or `--flag=value`; None when it is not there."""
    value = None
    for position, each in enumerate(args):
        if each == name and position + 1 < len(args):
            value = args[position + 1]
        elif each.startswith(name + "="):
            value = each[len(name) + 1 :]
    return value


def with_flag(args: Sequence[str], name: str, value: str) -> list[str]:
    """The same arguments with a flag's value replaced wherever it stands, or appended."""
    result: list[str] = []
    replaced = False
    for position, each in enumerate(args):
        if position and args[position - 1] == name:
            result.append(value)
        elif each.startswith(name + "="):
            result.append(f"{name}={value}")
        else:
            result.append(each)
        replaced |= each == name or each.startswith(name + "=")
    return result if replaced else [*result, name, value]
