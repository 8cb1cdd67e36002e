"""The configuration's `tracing` section: where traces go, and how many."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from dpd_router.config.section import Section

_PATH = "/v1/traces"  # where OTLP's receivers listen unless they are told otherwise


@dataclass(frozen=True, slots=True)
class Traced:
    """`url` takes OTLP over HTTP. `ratio` of the requests that bring no trace get one; `room` of them may wait."""

    url: str
    ratio: float
    room: int


def read_tracing(root: Section) -> Traced | None:
    """Read the section; without it there are no traces."""
    if not root.has("tracing"):
        return None
    with root.section("tracing") as section:
        return Traced(_url(section), section.share("ratio", 0.1), section.integer("queue", 2048, 1, 1_000_000))


def _url(section: Section) -> str:
    url = section.text("endpoint")
    try:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            return url if parts.path not in ("", "/") else parts._replace(path=_PATH).geturl()
    except ValueError:
        pass
    if url:
        section.problem("endpoint", f"{url!r} is no http or https URL", "write one such as http://127.0.0.1:4318")
    return url
