"""The API server over the `kubernetes` package: plain requests on paths, so that no model has to know our kinds."""

import http
import json
from collections.abc import Iterator, Mapping
from typing import Any

import urllib3
from kubernetes import client, config

from dpd_operator.core.objects import Tree
from dpd_operator.seams import ApiError

_CONNECT_SECONDS, _READ_SECONDS = 5, 30
# The API server ends a watch itself after this long; one that says nothing for longer is dead.
WATCH_SECONDS = 300
_JSON_PATCH = "application/json-patch+json"
_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"


class ApiServer:
    """One API server, safe to use from several threads."""

    def __init__(self, api: client.ApiClient) -> None:
        """Take a configured client."""
        self._api = api

    def get(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any] | None:
        """Return what lies at a path, or None when nothing does."""
        try:
            return self._ask("GET", path, query=query)
        except ApiError as error:
            if error.status == http.HTTPStatus.NOT_FOUND:
                return None
            raise

    def create(self, path: str, body: Tree) -> dict[str, Any]:
        """Create an object in the collection at a path."""
        return self._ask("POST", path, body)

    def replace(self, path: str, body: Tree) -> dict[str, Any]:
        """Write an object over the one of the same resourceVersion."""
        return self._ask("PUT", path, body)

    def merge(self, path: str, patch: Tree) -> dict[str, Any]:
        """Merge a patch into an object."""
        return self._ask("PATCH", path, patch, content=_MERGE)

    def apply(self, path: str, body: Tree) -> dict[str, Any]:
        """Own the given fields of an object, as server-side apply does."""
        query = {"fieldManager": "dpd-operator", "force": "true"}
        return self._ask("PATCH", path, body, query=query, content=_APPLY)

    def put_part(self, path: str, part: str, value: Any) -> dict[str, Any]:
        """Write one part (`/status`) of an object whole, whatever stood there."""
        return self._ask("PATCH", path, [{"op": "add", "path": part, "value": value}], content=_JSON_PATCH)

    def delete(self, path: str) -> None:
        """Delete an object, what hangs on it in the background."""
        try:
            self._ask("DELETE", path, {"propagationPolicy": "Background"})
        except ApiError as error:
            if error.status != http.HTTPStatus.NOT_FOUND:
                raise

    def watch(self, path: str, query: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """Yield events of a collection until the API server ends the answer."""
        asked = {**query, "watch": "1", "timeoutSeconds": str(WATCH_SECONDS)}
        answer = self._send("GET", path, None, asked, "application/json", WATCH_SECONDS + _READ_SECONDS)
        rest = b""
        try:
            for piece in answer.stream(amt=None, decode_content=True):
                *lines, rest = (rest + piece).split(b"\n")
                yield from map(json.loads, filter(None, lines))
        except urllib3.exceptions.HTTPError as error:
            raise ApiError(0, f"watching {path}: {error}") from error
        finally:
            answer.close()
            answer.release_conn()

    def _ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        query: Mapping[str, str] | None = None,
        content: str = "application/json",
    ) -> dict[str, Any]:
        answer = self._send(method, path, body, query or {}, content, _READ_SECONDS)
        try:
            found: dict[str, Any] = json.loads(answer.data)
        except (ValueError, urllib3.exceptions.HTTPError) as error:
            raise ApiError(0, f"{method} {path}: the answer cannot be read: {error}") from error
        return found

    def _send(self, method: str, path: str, body: Any, query: Mapping[str, str], content: str, seconds: int) -> Any:
        headers = {"Accept": "application/json", "Content-Type": content}
        request = self._api.param_serialize(
            method,
            path,
            query_params=list(query.items()),
            header_params=headers,
            body=body,
            auth_settings=["BearerToken"],
        )
        try:
            answer = self._api.call_api(*request, _request_timeout=(_CONNECT_SECONDS, seconds)).response
        except (client.ApiException, urllib3.exceptions.HTTPError) as error:
            raise ApiError(0, f"{method} {path}: {error}") from error
        if answer.status >= http.HTTPStatus.BAD_REQUEST:
            raise ApiError(answer.status, f"{method} {path}: {_complaint(answer.data)}")
        return answer


def connect() -> ApiServer:
    """Return the API server of the pod this runs in, or else of the kubeconfig. Raises ApiError without either."""
    try:
        config.load_incluster_config()  # type: ignore[no-untyped-call]
    except config.ConfigException:
        try:
            config.load_kube_config()  # type: ignore[no-untyped-call]
        except config.ConfigException as error:
            raise ApiError(0, f"no cluster: {error}; run in a pod, or set KUBECONFIG") from error
    settings = client.Configuration.get_default_copy()
    # One connection for each watch, one for each thread that works.
    settings.connection_pool_maxsize = 32
    return ApiServer(client.ApiClient(settings))


def _complaint(data: bytes) -> str:
    try:
        return str(json.loads(data)["message"])
    except (ValueError, KeyError, TypeError):
        return data.decode(errors="replace")[:500]
