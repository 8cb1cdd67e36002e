"""Reading from an API server, with nothing but HTTPS: no kubectl and no client library."""

import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from dpd.commands import UsageError
from dpd.doctor.parsing import json_object

_TIMEOUT = 15.0
_SILENT = 0
_SHOWN = 200
_REMEDIES = {
    _SILENT: "see that it runs and can be reached from here, or give another kubeconfig with --kubeconfig",
    HTTPStatus.OK: "give the kubeconfig of a cluster with --kubeconfig",
    HTTPStatus.UNAUTHORIZED: "log in again",
    HTTPStatus.FORBIDDEN: "ask for the right to read it",
}


class NotYetError(UsageError):
    """What may be there in a while: an endpoint that is being made, an API server that is being started."""


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
        """Return the objects of a list.

        Raises UsageError when they cannot be had: NotYetError when that may change by itself.
        """
        status, text = self.ask(path)
        held = json_object(text)
        if status == HTTPStatus.OK and "items" in held:
            found: list[dict[str, Any]] = held["items"] or []
            return found
        said = " ".join(str(held.get("message") or text).split())[:_SHOWN]
        passing = status in (_SILENT, HTTPStatus.TOO_MANY_REQUESTS) or status >= HTTPStatus.INTERNAL_SERVER_ERROR
        fact = "answers what no API server would" if status == HTTPStatus.OK else f"answers {status or 'nothing'}"
        remedy = _REMEDIES.get(status, "give another kubeconfig with --kubeconfig")
        raise (NotYetError if passing else UsageError)(f"{self.server}{path}: {fact}: {said}; {remedy}")
