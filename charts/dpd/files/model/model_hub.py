"""A model on a Hugging Face hub, at one commit.

The hub's own rules: `api/models/<id>/revision/<commit>` lists it, `<id>/resolve/<commit>/<file>` leads to each file,
usually by way of a redirection to another host. Where a model brings safetensors, weights in other formats are left
there.
"""

import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from model_files import FetchError, File, Log, shown
from model_http import Client, request

_OTHER_WEIGHTS = (".bin", ".pth", ".pt", ".ckpt", ".h5", ".msgpack", ".ot", ".onnx", ".onnx_data", ".tflite", ".gguf")


class Hub:
    """A source whose files are those of `model` at `revision` (a commit, or a branch that is looked up once)."""

    def __init__(self, endpoint: str, model: str, revision: str, token: str | None, client: Client, log: Log) -> None:
        self.name = f"{model}@{revision}"
        self._endpoint = endpoint.rstrip("/")
        self._model = model
        self._revision = revision
        self._headers = {"User-Agent": "dpd-model-fetcher"} | ({"Authorization": f"Bearer {token}"} if token else {})
        self._client = client
        self._log = log

    def files(self) -> Sequence[File]:
        """List the model at its commit, weights in formats that nobody will load left out."""
        told = self._client.json(
            self._ask("api/models", self._model, "revision", self._revision, blobs="true"), self._explain
        )
        try:
            self._revision = str(told["sha"])
            found = sorted((_file(each) for each in told["siblings"]), key=lambda each: each.path)
        except (KeyError, TypeError, ValueError) as error:
            raise FetchError(f"{self.name}: the hub lists no files with their sizes; use another endpoint") from error
        self._log(f"{self._model}: commit {self._revision}")
        return self._without_other_weights(found)

    def read(self, file: File, start: int, length: int) -> Iterator[bytes]:
        """Read a part of a file at the commit that was listed."""
        ask = self._ask(self._model, "resolve", self._revision, file.path)
        return self._client.part(ask, self._explain, file, start, length)

    def _without_other_weights(self, files: list[File]) -> list[File]:
        if not any(file.path.endswith(".safetensors") for file in files):
            return files
        left = [file for file in files if file.path.endswith(_OTHER_WEIGHTS)]
        if left:
            total = shown(sum(file.size for file in left))
            self._log(f"{self._model}: {len(left)} files of weights in other formats left out, {total}")
        return [file for file in files if file not in left]

    def _ask(self, *parts: str, **query: str) -> "_Ask":
        path = "/".join(urllib.parse.quote(each) for each in parts)
        asked = f"?{urllib.parse.urlencode(query)}" if query else ""
        return _Ask(f"{self._endpoint}/{path}{asked}", self._headers)

    def _explain(self, status: int, _text: str) -> str:
        where = "modelSourceConfig.huggingFaceModel.tokenSecretRef"
        if status == 401:
            known = "the token is not valid" if "Authorization" in self._headers else "it wants a token"
            return f"{known} (401); check {where}"
        if status == 403:
            return f"the token may not read it (403); accept the model's terms with its account, or check {where}"
        if status == 404:
            return "no such model, commit or file (404); check modelId and commitSHA, and the token when it is private"
        return f"refused ({status}); check the hub's address"


class _Ask:
    """Builds one request again and again: each attempt needs its own."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._url = url
        self._headers = headers

    def __call__(self) -> urllib.request.Request:
        return request(self._url, self._headers)


def _file(told: Mapping[str, Any]) -> File:
    large = told.get("lfs") or {}
    return File(str(told["rfilename"]), int(told["size"]), str(large.get("sha256") or told["blobId"]))
