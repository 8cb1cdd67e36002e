"""The first look at a request: its head alone decides whether it may come in, and how long its body may be.

A client without a key must not make the router hold megabytes to hear that it has none.
"""

from collections.abc import Callable, Mapping
from typing import Final

from dpd_router.api import Routes
from dpd_router.ask import Admission
from dpd_router.auth.bucket import Bucket, Rate
from dpd_router.auth.keys import Keyring
from dpd_router.errors import RouterError, TooManyRequestsError, UnauthorizedError
from dpd_router.types import Headers

SMALL_BODY: Final = 64 * 1024
_BEARER = b"bearer "
_MISSING = "The request holds no API key; send it as Authorization: Bearer KEY, or as x-api-key: KEY."
_UNKNOWN = "The API key is not known; check it, or ask for one."


class Gate:
    """Admits requests. `keyring` is None when the router asks for no keys; `forward` keeps keys in what engines get."""

    def __init__(
        self,
        routes: Routes,
        keyring: Callable[[], Keyring] | None,
        clock: Callable[[], float],
        rates: "Rates",
        *,
        forward: bool = False,
    ) -> None:
        self._routes = routes
        self._keyring = keyring
        self._clock = clock
        self._rates = rates
        self._forward = forward

    def admit(self, path: str, headers: Headers) -> Admission:
        """Return who calls and with which headers the request goes on, or why it does not."""
        row = self._routes.find(path)
        body_bytes = None if row is not None and row.schema else SMALL_BODY
        if self._keyring is None or row is None or row.open:
            return Admission(headers, body_bytes=body_bytes)
        caller, kept, error = self._recognise(self._keyring(), headers)
        if error is None:
            error = self._rates.charge(caller, self._clock())
        if error is not None:
            return Admission(headers, caller, SMALL_BODY, error)
        return Admission(headers if self._forward else kept, caller, body_bytes)

    def _recognise(self, keyring: Keyring, headers: Headers) -> tuple[str, Headers, RouterError | None]:
        """Return the first key's name, and the headers without those that hold one we know."""
        caller, message, kept = "", _MISSING, []
        for header in headers:
            key = _presented(header[0].lower(), header[1])
            name = keyring.name_of(key) if key is not None else None
            if name is None:
                kept.append(header)
                message = message if key is None else _UNKNOWN
            else:
                caller = caller or name
        if caller:
            return caller, kept, None
        return "", headers, UnauthorizedError(message, code="invalid_api_key")


def _presented(name: bytes, value: bytes) -> bytes | None:
    """Return the key a header presents, None for a header that presents none."""
    if name == b"x-api-key":
        return value.strip()
    if name == b"authorization" and value[: len(_BEARER)].lower() == _BEARER:
        return value[len(_BEARER) :].strip()
    return None


class Rates:
    """The buckets of all keys: `common` is the rate of a key that has none of its own, None for without limit."""

    def __init__(self, common: Rate | None, own: Mapping[str, Rate]) -> None:
        self._common = common
        self._own = own
        self._buckets: dict[str, Bucket] = {}

    def charge(self, caller: str, now: float) -> RouterError | None:
        """Count one request of a key; return what refuses it when its rate is used up."""
        rate = self._own.get(caller, self._common)
        if rate is None:
            return None
        bucket = self._buckets.get(caller)
        if bucket is None:
            bucket = self._buckets[caller] = Bucket(rate, now)
        seconds = bucket.take(now)
        if not seconds:
            return None
        text = f"The API key's rate of {rate.per_minute:g} requests a minute is used up; try again in {seconds} s."
        return TooManyRequestsError(text, code="rate_limit_exceeded", retry_after=seconds)
