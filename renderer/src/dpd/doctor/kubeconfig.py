"""A kubeconfig → an API server that can be asked: which one, how to be sure of it, and who is asking."""

import base64
import json
import os
import ssl
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from dpd.commands import UsageError
from dpd.doctor.api import Api
from dpd.problems import shown

_EXEC_SECONDS = 60.0
_MOST_BYTES = 8 * 1024**2
_KINDS = ("contexts", "clusters", "users")
_ANOTHER = "give a kubeconfig with --kubeconfig"
Object = Mapping[str, Any]


def connect(file: str, context: str) -> Api:
    """Read a kubeconfig: `file`, or those of $KUBECONFIG together, or the user's own. Raises UsageError."""
    paths = [Path(file)] if file else _own()
    name = os.pathsep.join(map(str, paths))
    with _told(name):
        config = _merged({path: _read(path) for path in paths})
        chosen = _named(config, "contexts", context or config["current-context"])["context"]
        cluster = _named(config, "clusters", chosen["cluster"])
        user = _named(config, "users", chosen["user"])
        server = _server(name, cluster["cluster"]["server"])
    with _let_in(name):
        who = user["user"] or {}
        tls = _tls(cluster["folder"], cluster["cluster"], user["folder"], who)
        return Api(server, tls, _headers(user["folder"], who))


def _own() -> list[Path]:
    """Return the user's kubeconfigs: of those that $KUBECONFIG names, the ones that are there, as kubectl has it."""
    named = [Path(each) for each in os.environ.get("KUBECONFIG", "").split(os.pathsep) if each]
    return [each for each in named if each.exists()] or named[:1] or [Path.home() / ".kube" / "config"]


def _read(path: Path) -> Object:
    try:
        with path.open("rb") as opened:
            text = opened.read(_MOST_BYTES + 1)
        held = yaml.safe_load(text[:_MOST_BYTES])
    except OSError as error:
        raise UsageError(f"{path}: {str(error.strerror).lower()}; {_ANOTHER}") from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise UsageError(f"{path}: is no YAML; {_ANOTHER}") from None
    if not isinstance(held, dict) or len(text) > _MOST_BYTES:
        raise UsageError(f"{path}: is no kubeconfig; give one with --kubeconfig")
    return held


def _merged(configs: Mapping[Path, Object]) -> Object:
    """Put kubeconfigs together: of several entries of one name the first counts. Each knows the folder it is from."""
    found: dict[str, Any] = {kind: [] for kind in _KINDS if any(kind in each for each in configs.values())}
    for path, config in configs.items():
        if config.get("current-context"):
            found.setdefault("current-context", config["current-context"])
        for kind in found.keys() & set(_KINDS):
            found[kind] += [{**each, "folder": path.parent} for each in config.get(kind) or ()]
    return found


def _named(config: Object, kind: str, name: str) -> Object:
    for each in config[kind]:
        if each["name"] == name:
            found: Object = each
            return found
    raise KeyError(f"{kind} {name}")


def _server(file: str, text: str) -> str:
    """Return the URL of an API server, if it is one."""
    try:
        address = urlsplit(text)
        sound = address.scheme in ("http", "https") and bool(address.hostname) and address.port != 0
    except ValueError:
        sound = False
    if not sound:
        raise UsageError(f"{file}: server {shown(text)} is no URL; write it as in https://10.0.0.1:6443")
    return text.rstrip("/")


@contextmanager
def _told(file: str) -> Iterator[None]:
    """What a kubeconfig lacks, or has in another form, becomes a usage error."""
    try:
        yield
    except KeyError as error:
        raise UsageError(f"{file}: has no {error}; {_ANOTHER}, or a --context of it") from None
    except (TypeError, AttributeError):
        raise UsageError(f"{file}: is no kubeconfig; give one with --kubeconfig") from None


@contextmanager
def _let_in(file: str) -> Iterator[None]:
    """What keeps somebody from logging in becomes a usage error."""
    try:
        yield
    except (KeyError, TypeError, AttributeError):
        raise UsageError(f"{file}: the entry of its user is of a form that is not known; log in again") from None
    except OSError as error:
        reason = f"{error.filename}: {str(error.strerror).lower()}" if error.filename else str(error)
        raise UsageError(f"{file}: its certificates or its login command fail: {reason}; log in again") from None
    except (ValueError, subprocess.SubprocessError) as error:
        raise UsageError(f"{file}: its certificates or its login command fail: {error}; log in again") from None


def _tls(folder: Path, cluster: Object, own: Path, user: Object) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=_text(folder, cluster, "certificate-authority"))
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    certificate, key = _text(own, user, "client-certificate"), _text(own, user, "client-key")
    if certificate and key:
        # Python takes a key from a file alone: one that nobody else may read, and that is gone at once.
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
            file.write(f"{certificate}\n{key}\n")
            file.flush()
            context.load_cert_chain(file.name)
    return context


def _headers(folder: Path, user: Object) -> dict[str, str]:
    token = user.get("token") or (_exec(user["exec"]) if "exec" in user else None)
    if not token and "tokenFile" in user:
        token = (folder / user["tokenFile"]).read_text(encoding="utf-8")
    said = str(token or "").strip()
    if not said.isascii() or not said.isprintable():
        raise ValueError("its token is none that can be sent")
    return {"Accept": "application/json, text/plain", **({"Authorization": f"Bearer {said}"} if said else {})}


def _exec(command: Object) -> str:
    """Run the command that logs in, as `aws eks get-token` does, and return its token."""
    own = {each["name"]: each["value"] for each in command.get("env") or ()}
    done = subprocess.run(
        [command["command"], *(command.get("args") or ())],
        env={**os.environ, **own},
        stdout=subprocess.PIPE,
        timeout=_EXEC_SECONDS,
        check=True,
    )
    try:
        token = json.loads(done.stdout)["status"]["token"]
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{shown(command['command'])} tells no token") from None
    return str(token)


def _text(folder: Path, holder: Object, name: str) -> str | None:
    """Return a PEM that is in the kubeconfig, or in a file beside it; None when there is none."""
    if holder.get(f"{name}-data"):
        return base64.b64decode(holder[f"{name}-data"]).decode("ascii")
    return (folder / holder[name]).read_text(encoding="ascii") if holder.get(name) else None
