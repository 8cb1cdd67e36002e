"""Server-side apply without kubectl: cheap enough to ask an API server about thousands of objects."""

import http.client
import json
import ssl
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from cluster.control import ControlPlane

Answer = tuple[int, list[tuple[str, str]], Any]
_PAUSES = (0.5, 2, 8)
_LATER = (http.HTTPStatus.TOO_MANY_REQUESTS, http.HTTPStatus.SERVICE_UNAVAILABLE, http.HTTPStatus.GATEWAY_TIMEOUT)
_QUERY = "dryRun=All&fieldValidation=Strict&fieldManager=tests&force=true"


class Direct:
    """One connection to an API server, as cluster-admin."""

    def __init__(self, plane: ControlPlane) -> None:
        config = json.loads(plane.kubeconfig.read_text(encoding="utf-8"))
        user, cluster = config["users"][0]["user"], config["clusters"][0]["cluster"]
        context = ssl.create_default_context(cafile=cluster["certificate-authority"])
        context.load_cert_chain(user["client-certificate"], user["client-key"])
        address = urlsplit(plane.url)
        self._connection = http.client.HTTPSConnection(address.hostname or "", address.port, context=context)
        self._kinds: dict[str, dict[str, Any]] = {}

    def objections(self, document: Mapping[str, Any]) -> list[str]:
        """Apply one object without storing it; return what the API server has against it, warnings included."""
        status, headers, answer = self._ask("PATCH", f"{self._path(document)}?{_QUERY}", document)
        warnings = [value for name, value in headers if name.lower() == "warning"]
        refused = status not in (http.HTTPStatus.OK, http.HTTPStatus.CREATED)
        return [*warnings, answer.get("message", str(answer))] if refused else warnings

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _path(self, document: Mapping[str, Any]) -> str:
        version, metadata = document["apiVersion"], document["metadata"]
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        if root not in self._kinds:
            _, _, answer = self._ask("GET", root)
            listed = [each for each in answer["resources"] if "/" not in each["name"]]
            self._kinds[root] = {each["kind"]: each for each in listed}
        kind = self._kinds[root][document["kind"]]
        place = f"/namespaces/{metadata.get('namespace', 'default')}" if kind["namespaced"] else ""
        return f"{root}{place}/{kind['name']}/{quote(metadata['name'])}"

    def _ask(self, method: str, path: str, body: Any = None) -> Answer:
        """Ask, and ask again what a busy server breaks off or puts off: nothing is stored, so twice is once."""
        for pause in _PAUSES:
            try:
                answer = self._once(method, path, body)
            except (http.client.HTTPException, OSError):
                self._connection.close()  # the next request opens another one
                continue
            if answer[0] not in _LATER:
                return answer
            time.sleep(pause)
        return self._once(method, path, body)

    def _once(self, method: str, path: str, body: Any) -> Answer:
        headers = {"Accept": "application/json"} | ({"Content-Type": "application/apply-patch+yaml"} if body else {})
        self._connection.request(method, path, json.dumps(body) if body else None, headers)
        answer = self._connection.getresponse()
        text = answer.read()
        return answer.status, answer.getheaders(), json.loads(text)
