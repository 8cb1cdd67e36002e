"""Reading from an API server as a kubeconfig says, with nothing but HTTPS: no kubectl and no client library."""

import base64
import http.client
import json
import os
import ssl
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from dpd.commands import UsageError

_TIMEOUT = 15.0
_EXEC_SECONDS = 60.0
_SILENT = 0
Object = Mapping[str, Any]


@dataclass(frozen=True)
class Api:
    """An API server, how to be sure of it, and what to say of oneself."""

    server: str
    context: ssl.SSLContext | None
    headers: Mapping[str, str]

    def ask(
        self, path: str, body: Any = None, seconds: float = _TIMEOUT, more: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        """GET a path, or POST JSON to it, with `more` headers: status and text; 0 and why when nobody answers."""
        address = urlsplit(self.server)
        host, port = address.hostname or "", address.port
        connection: http.client.HTTPConnection
        if address.scheme == "https":
            connection = http.client.HTTPSConnection(host, port, timeout=seconds, context=self.context)
        else:
            connection = http.client.HTTPConnection(host, port, timeout=seconds)
        data = None if body is None else json.dumps(body)
        headers = {**self.headers, **(more or {}), **({"Content-Type": "application/json"} if body is not None else {})}
        try:
            connection.request("GET" if body is None else "POST", f"{address.path}{path}", data, headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as error:
            return _SILENT, str(error)
        finally:
            connection.close()

    def items(self, path: str) -> list[dict[str, Any]]:
        """Return the objects of a list. Raises UsageError when they cannot be had."""
        status, text = self.ask(path)
        if status != http.HTTPStatus.OK:
            said = _message(text)
            fact = f"answers {status or 'nothing'}: {said}"
            raise UsageError(f"{self.server}{path}: {fact}; give another kubeconfig, or the right to read it")
        found: list[dict[str, Any]] = json.loads(text)["items"]
        return found


def connect(file: str, context: str) -> Api:
    """Read a kubeconfig: `file`, or $KUBECONFIG, or the user's own. Raises UsageError."""
    path = Path(file or os.environ.get("KUBECONFIG", "").split(os.pathsep)[0] or Path.home() / ".kube" / "config")
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: {str(error.strerror).lower()}; give a kubeconfig with --kubeconfig") from None
    except (yaml.YAMLError, ValueError):
        raise UsageError(f"{path}: is no YAML; give a kubeconfig with --kubeconfig") from None
    try:
        chosen = _named(config, "contexts", context or config["current-context"])["context"]
        cluster = _named(config, "clusters", chosen["cluster"])["cluster"]
        user = _named(config, "users", chosen["user"])["user"] or {}
        return Api(cluster["server"].rstrip("/"), _tls(path.parent, cluster, user), _headers(path.parent, user))
    except KeyError as error:
        raise UsageError(f"{path}: has no {error}; give a kubeconfig with --kubeconfig, or a --context of it") from None
    except (TypeError, AttributeError):
        raise UsageError(f"{path}: is no kubeconfig; give one with --kubeconfig") from None
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise UsageError(f"{path}: its certificates or its command fail: {error}; log in again") from None


def _named(config: Object, kind: str, name: str) -> Object:
    for each in config[kind]:
        if each["name"] == name:
            found: Object = each
            return found
    raise KeyError(f"{kind} {name}")


def _tls(folder: Path, cluster: Object, user: Object) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=_text(folder, cluster, "certificate-authority"))
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    certificate, key = _text(folder, user, "client-certificate"), _text(folder, user, "client-key")
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
        token = (folder / user["tokenFile"]).read_text(encoding="utf-8").strip()
    return {"Accept": "application/json, text/plain", **({"Authorization": f"Bearer {token}"} if token else {})}


def _exec(command: Object) -> str | None:
    """Run the command that logs in, as `aws eks get-token` does, and return its token."""
    own = {each["name"]: each["value"] for each in command.get("env") or ()}
    done = subprocess.run(
        [command["command"], *(command.get("args") or ())],
        env={**os.environ, **own},
        stdout=subprocess.PIPE,
        timeout=_EXEC_SECONDS,
        check=True,
    )
    token: str | None = json.loads(done.stdout)["status"].get("token")
    return token


def _text(folder: Path, holder: Object, name: str) -> str | None:
    """Return a PEM that is in the kubeconfig, or in a file beside it; None when there is none."""
    if holder.get(f"{name}-data"):
        return base64.b64decode(holder[f"{name}-data"]).decode("ascii")
    return (folder / holder[name]).read_text(encoding="ascii") if holder.get(name) else None


def _message(text: str) -> str:
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text[:200]
