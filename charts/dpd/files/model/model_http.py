"""HTTP as the fetcher needs it: parts of files, asked for again where they stopped, and credentials that stay at home.

An answer that is late, cut off or says "not now" is asked for again, with growing pauses, until `attempts` in a row
brought nothing. Any other refusal is final: the source says what it means.
"""

import http.client
import json
import random
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any

from model_files import FetchError, File, Log

_BLOCK = 1024**2
_NOT_NOW = frozenset({408, 425, 429, 500, 502, 503, 504})
_LONGEST_PAUSE = 60.0

Ask = Callable[[], urllib.request.Request]
Explain = Callable[[int, str], str]


class _Homebound(urllib.request.HTTPRedirectHandler):
    """Follows redirections, but to another host without credentials: that host has no business with them."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Return the request that follows, stripped of its credentials when the host is another."""
        request = super().redirect_request(req, fp, code, msg, headers, newurl)
        if request is not None and _origin(newurl) != _origin(req.full_url):
            request.remove_header("Authorization")
        return request


class _NotNowError(Exception):
    """It may work when asked again. `pause`: seconds that the other side asks for, or None."""

    def __init__(self, text: str, pause: float | None = None) -> None:
        super().__init__(text)
        self.pause = pause


@dataclass(frozen=True)
class Client:
    """Asks until it is answered. `explain(status, text)` turns a refusal into `fact; remedy`."""

    attempts: int
    pause: float
    log: Log
    timeout: float = 60.0
    sleep: Callable[[float], None] = time.sleep
    opener: urllib.request.OpenerDirector = field(default_factory=lambda: urllib.request.build_opener(_Homebound))

    def document(self, ask: Ask, explain: Explain) -> bytes:
        """Return the whole answer; raises FetchError."""
        failures = 0
        while True:
            try:
                with self._opened(ask(), explain) as answer:
                    return answer.read()
            except (_NotNowError, *_TRANSIENT) as error:
                failures = self._paused(ask().full_url, error, failures)

    def json(self, ask: Ask, explain: Explain) -> Any:
        """Return the answer as JSON; raises FetchError when it is none."""
        body = self.document(ask, explain)
        try:
            return json.loads(body)
        except ValueError as error:
            raise FetchError(f"{ask().full_url}: the answer is no JSON; check the address") from error

    def part(self, ask: Ask, explain: Explain, file: File, start: int, length: int) -> Iterator[bytes]:
        """Yield exactly `length` bytes of a file from `start` on."""
        at, end, failures = start, start + length, 0
        while at < end:
            request = ask()
            request.add_header("Range", f"bytes={at}-{end - 1}")
            try:
                with self._opened(request, explain) as answer:
                    _check_part(request.full_url, answer, file, at, end)
                    while at < end and (block := answer.read(min(_BLOCK, end - at))):
                        at, failures = at + len(block), 0
                        yield block
                if at < end:
                    raise _NotNowError(f"cut off at byte {at} of {file.size}")
            except (_NotNowError, *_TRANSIENT) as error:
                failures = self._paused(f"{file.path}", error, failures)

    def _opened(self, request: urllib.request.Request, explain: Explain) -> http.client.HTTPResponse:
        try:
            answer: http.client.HTTPResponse = self.opener.open(request, timeout=self.timeout)
        except urllib.error.HTTPError as error:
            with error:
                text = error.read(2048).decode("utf-8", "replace")
                if error.code in _NOT_NOW:
                    raise _NotNowError(
                        f"HTTP {error.code}", _retry_after(error.headers.get("Retry-After", ""))
                    ) from error
            raise FetchError(f"{_address(request.full_url)}: {explain(error.code, text)}") from error
        except urllib.error.URLError as error:
            if isinstance(error.reason, ssl.SSLCertVerificationError):
                fact = f"its certificate is not trusted ({error.reason.verify_message})"
                raise FetchError(f"{_address(request.full_url)}: {fact}; give SSL_CERT_FILE its authority") from error
            raise _NotNowError(str(error.reason)) from error
        return answer

    def _paused(self, what: str, error: Exception, failures: int) -> int:
        if failures + 1 >= self.attempts:
            fact = f"{error or type(error).__name__}, {self.attempts} times in a row"
            raise FetchError(f"{_address(what)}: {fact}; look at the network and start again") from error
        asked = getattr(error, "pause", None)
        pause = asked if asked is not None else self.pause * 2**failures * random.uniform(0.5, 1)  # noqa: S311 - no secret
        self.log(f"{_address(what)}: {error or type(error).__name__}, trying again")
        self.sleep(min(pause, _LONGEST_PAUSE))
        return failures + 1


_TRANSIENT = (OSError, http.client.HTTPException)


def request(
    url: str, headers: Mapping[str, str], form: bytes | None = None, method: str | None = None
) -> urllib.request.Request:
    """Build a GET, the POST of a form, or what `method` says.

    Raises FetchError for anything but HTTP, for an address must open no file.
    """
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise FetchError(f"{url}: neither http nor https; write the endpoint's address in full")
    return urllib.request.Request(url, form, dict(headers), method=method)  # noqa: S310 - the scheme is checked above


def _check_part(url: str, answer: http.client.HTTPResponse, file: File, at: int, end: int) -> None:
    whole = at == 0 and end == file.size
    if answer.status == 200 and whole:
        total = answer.headers.get("Content-Length", str(file.size))
    elif answer.status == 206:
        total = answer.headers.get("Content-Range", "").rpartition("/")[2]
        if not answer.headers.get("Content-Range", "").startswith(f"bytes {at}-"):
            raise FetchError(f"{_address(url)}: answered another part than the one asked for; use another endpoint")
    else:
        raise FetchError(f"{_address(url)}: it cannot send parts of a file; use an endpoint that can")
    if total != str(file.size):
        fact = f"{file.path} has {total} bytes there and was listed with {file.size}"
        raise FetchError(f"{_address(url)}: {fact}; start again once it no longer changes")


def _retry_after(value: str) -> float | None:
    return float(value) if value.isdigit() else None


def _origin(url: str) -> tuple[str, str]:
    parts = urllib.parse.urlsplit(url)
    return parts.scheme, parts.netloc


def _address(url: str) -> str:
    """An address without its query: a signed one is as good as a password."""
    return url.partition("?")[0]
