"""When a certificate ends, and the metric that says so. The standard library reads a peer's, not one's own."""

import ssl
from collections.abc import Callable
from datetime import UTC, datetime

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

_SEQUENCE, _VERSION, _UTC_TIME, _GENERALIZED_TIME = 0x30, 0xA0, 0x17, 0x18
_TEXT = "When the certificate that clients are shown ends, in seconds since 1970; absent without one."


class Expiry(Collector):
    """Reads when the certificate in use ends, as a Unix time, when it is asked; None for no certificate."""

    def __init__(self, ends: Callable[[], float | None]) -> None:
        self._ends = ends

    def collect(self) -> list[Metric]:
        """Return what is so now."""
        gauge = GaugeMetricFamily("dpd_router_certificate_expiry_timestamp_seconds", _TEXT)
        ends = self._ends()
        if ends is not None:
            gauge.add_metric([], ends)
        return [gauge]


def not_after(pem: str) -> float:
    """Return when the first certificate of a chain in PEM ends, as a Unix time. Raises ValueError for anything else.

    RFC 5280, 4.1: Certificate { TBSCertificate { [0] version, serial, signature, issuer, Validity { from, to } … } … }.
    """
    begin = pem.find(ssl.PEM_HEADER)
    end = pem.find(ssl.PEM_FOOTER, begin) + len(ssl.PEM_FOOTER)
    if begin < 0 or end < begin:
        raise ValueError("no certificate in PEM")
    _, certificate, _ = _element(ssl.PEM_cert_to_DER_cert(pem[begin:end]))
    _, rest, _ = _element(certificate)
    tag, _, after = _element(rest)
    rest = after if tag == _VERSION else rest
    for _ in ("serial", "signature", "issuer"):
        _, _, rest = _element(rest)
    tag, validity, _ = _element(rest)
    if tag != _SEQUENCE:
        raise ValueError("a certificate without validity")
    _, _, rest = _element(validity)
    return _time(*_element(rest)[:2])


def _element(data: bytes) -> tuple[int, bytes, bytes]:
    """Split DER into the first element's tag and content, and what follows it."""
    if len(data) < 2:
        raise ValueError("a certificate that ends early")
    length, begin = data[1], 2
    if length & 0x80:
        begin += length & 0x7F
        length = int.from_bytes(data[2:begin], "big")
    if len(data) < begin + length:
        raise ValueError("a certificate that ends early")
    return data[0], data[begin : begin + length], data[begin + length :]


def _time(tag: int, content: bytes) -> float:
    """Return a Time as a Unix time. Two digits of a year below 50 are of this century (RFC 5280, 4.1.2.5.1)."""
    text = content.decode("ascii")
    if tag == _UTC_TIME:
        text = f"{20 if int(text[:2]) < 50 else 19}{text}"
    elif tag != _GENERALIZED_TIME:
        raise ValueError("a certificate whose end is no time")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()
