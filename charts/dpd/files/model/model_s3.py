"""A model in a bucket, asked for over S3's own API: for clusters whose nodes have no driver that mounts buckets."""

import hashlib
import urllib.parse
import urllib.request
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone

from model_aws import Keys, Request, keys_of, signed
from model_files import FetchError, File
from model_http import Client, request

_SPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"


class Bucket:
    """A source whose files are the objects below `prefix`."""

    def __init__(
        self, bucket: str, prefix: str, region: str, endpoint: str, client: Client, environment: Mapping[str, str]
    ) -> None:
        folder = prefix.strip("/")
        self.name = f"s3://{bucket}/{folder}"
        self._prefix = f"{folder}/" if folder else ""
        self._region = region or environment.get("AWS_REGION") or "us-east-1"
        self._client = client
        self._environment = environment
        self._keys: Keys | None = None
        if endpoint or "." in bucket:
            base = endpoint.rstrip("/") or f"https://s3.{self._region}.amazonaws.com"
            self._base = f"{base}/{urllib.parse.quote(bucket)}"
        else:
            self._base = f"https://{bucket}.s3.{self._region}.amazonaws.com"

    def files(self) -> Sequence[File]:
        """List the objects, page after page."""
        found: list[File] = []
        token = ""
        while True:
            query = {"list-type": "2", "prefix": self._prefix} | ({"continuation-token": token} if token else {})
            page = self._page(query)
            found += [file for each in page.iter(f"{_SPACE}Contents") if (file := self._file(each))]
            token = page.findtext(f"{_SPACE}NextContinuationToken") or ""
            if not token:
                return found

    def read(self, file: File, start: int, length: int) -> Iterator[bytes]:
        """Read a part of an object, of the version that was listed."""
        path = urllib.parse.quote(f"/{self._prefix}{file.path}", safe="/-_.~")
        return self._client.part(self._ask(path, {}, {"If-Match": file.version}), self._explain, file, start, length)

    def _page(self, query: Mapping[str, str]) -> ElementTree.Element:
        body = self._client.document(self._ask("/", query, {}), self._explain)
        try:
            return ElementTree.fromstring(body)  # noqa: S314 - expat expands no external entity, and the bucket is the user's
        except ElementTree.ParseError as error:
            raise FetchError(f"{self.name}: the answer is no list of objects; check the endpoint") from error

    def _file(self, told: ElementTree.Element) -> File | None:
        path = (told.findtext(f"{_SPACE}Key") or "").removeprefix(self._prefix)
        # Consoles make an empty object of a folder's name.
        if not path or path.endswith("/"):
            return None
        return File(path, int(told.findtext(f"{_SPACE}Size") or 0), told.findtext(f"{_SPACE}ETag") or "")

    def _ask(self, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> "_Ask":
        return _Ask(self, path, query, headers)

    def ask_object(self, key: str, content: bytes | None = None) -> urllib.request.Request:
        """Build the request that reads one object, or that writes `content` to it."""
        headers = {} if content is None else {"Content-Type": "application/x-pem-file"}
        return self.ask(urllib.parse.quote(f"/{key}", safe="/-_.~"), {}, headers, content)

    def ask(
        self, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes | None = None
    ) -> urllib.request.Request:
        """Build one signed request, a PUT when it has a body; its signature holds for some minutes only."""
        now = datetime.now(timezone.utc)  # noqa: UP017 - images with Python 3.10 are about
        if self._keys is None or self._keys.ends_before(now):
            self._keys = keys_of(self._environment, self._client)
        method, content = "GET" if body is None else "PUT", hashlib.sha256(body or b"").hexdigest()
        asked = Request(self._base.rstrip("/") + path, query, headers, method, content)
        sent = signed(asked, self._keys, self._region, now) if self._keys.access else headers
        return request(asked.url, sent, body, asked.method)

    def _explain(self, status: int, text: str) -> str:
        code = text.partition("<Code>")[2].partition("</Code>")[0] or str(status)
        if status in (301, 307) or (status == 400 and "<Region>" in text):
            return f"the bucket is in another region ({code}); check modelSourceConfig.s3Storage.region"
        if status in (400, 401, 403):
            return f"refused ({code}); let the pod's role list the bucket and get its objects, or check its keys"
        if status == 404:
            return f"not there ({code}); check modelSourceConfig.s3Storage.bucketName and modelLocation"
        if status == 412:
            return "it changed while it was fetched; start again once it is whole"
        return f"refused ({code}); check the endpoint"


class _Ask:
    """Builds one request again and again, each time with a fresh signature."""

    def __init__(self, bucket: Bucket, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> None:
        self._bucket = bucket
        self._path = path
        self._query = query
        self._headers = headers

    def __call__(self) -> urllib.request.Request:
        return self._bucket.ask(self._path, self._query, self._headers)
