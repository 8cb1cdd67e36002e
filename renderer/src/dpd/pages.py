"""How many pages a decoder's transfer buffer holds: what the router must know, lest it fills one that is full.

Pure arithmetic over an endpoint. Whatever could make a page larger than the table says leaves the answer open.
"""

import re
from dataclasses import dataclass

from dpd.endpoint import Endpoint, Role
from dpd.flags import whole_number
from dpd.models import Shape, shape_of
from dpd.sizing import DEFAULT_PD_BUFFER_BYTES

PAGE_TOKENS = 256
BUFFER_SIZES = ("LMCACHE_PD_BUFFER_SIZE", "PD_BUFFER_SIZE")

_MOST_SCALED = 5
_DIGITS = re.compile(r"[0-9]{1,18}\Z")
_CHUNK_SIZE = "LMCACHE_CHUNK_SIZE"
_HALF = frozenset({"auto", "bfloat16", "float16", "half"})
_WITH_THOUSANDS = re.compile(r"([0-9]{1,9})([kK])\Z")
_THOUSANDS = {"k": 1000, "K": 1024}


@dataclass(frozen=True, slots=True)
class Pages:
    """A decoder's buffer: its bytes, the bytes of one token on one rank, for which shape and how many ranks."""

    buffer_bytes: int
    token_bytes: int
    shape: Shape
    ranks: int

    @property
    def count(self) -> int:
        """Whole pages of the buffer; 0 when it is smaller than one."""
        return self.buffer_bytes // (PAGE_TOKENS * self.token_bytes)

    def share(self, routers: int) -> int:
        """Pages one router owns: an equal share, one more being kept for a router that comes while another leaves."""
        return self.count // (routers + 1)

    @property
    def arithmetic(self) -> str:
        """How the count comes about, in figures."""
        return f"{self.buffer_bytes} bytes / ({PAGE_TOKENS} tokens x {self.token_bytes} bytes)"


def pages_of(endpoint: Endpoint) -> Pages | None:
    """Return the pages of a decoder's buffer, or None when colocated or when the manifest does not tell."""
    decoder = decoder_of(endpoint)
    size, shape = buffer_bytes(endpoint), shape_of(names_of(endpoint))
    value_bytes = _value_bytes(decoder) if decoder else None
    if decoder is None or size is None or shape is None or value_bytes is None:
        return None
    if decoder.flag("--speculative-config") or endpoint.env_value(_CHUNK_SIZE) not in (None, str(PAGE_TOKENS)):
        return None
    return Pages(size, shape.bytes_per_token(decoder.ranks, value_bytes), shape, decoder.ranks)


def routers_of(endpoint: Endpoint) -> int:
    """Return how many routers there may be: the chart runs one, unless the manifest lets them scale."""
    scaling = endpoint.part("intelligentRoutingSpec", "autoScalingSpec")
    found: int = scaling.get("maxReplicaCount", _MOST_SCALED) if scaling else 1
    return max(1, found)


def decoder_of(endpoint: Endpoint) -> Role | None:
    """Return the decode role, or None when colocated."""
    return next((role for role in endpoint.roles if role.name == "decode"), None)


def buffer_bytes(endpoint: Endpoint) -> int | None:
    """Return the size of the transfer buffer in force, in bytes; None when the manifest does not tell, or has none."""
    if endpoint.is_disaggregated and not endpoint.transfers_by_lmcache:
        return None
    for name in BUFFER_SIZES:
        value = endpoint.env_value(name)
        if value is not None and _DIGITS.match(value):
            return int(value)
        if any(each.get("name") == name for each in endpoint.env) and "$(PD_BUFFER_SIZE)" not in (value or ""):
            return None
    return DEFAULT_PD_BUFFER_BYTES


def longest_prompt(role: Role) -> int | None:
    """Return --max-model-len in tokens, with the engine's k (1000) and K (1024); None when unset or unreadable."""
    flag = role.flag("--max-model-len")
    said = (flag.value if flag else None) or ""
    scaled = _WITH_THOUSANDS.match(said)
    return int(scaled[1]) * _THOUSANDS[scaled[2]] if scaled else whole_number(said)


def _value_bytes(role: Role) -> int | None:
    """Bytes of one value of KV as the engine is told to keep it."""
    kv, weights = (role.flag(name) for name in ("--kv-cache-dtype", "--dtype"))
    said = (kv.value if kv else None) or "auto"
    if said.startswith("fp8"):
        return 1
    if said == "auto":
        said = (weights.value if weights else None) or "auto"
    return 2 if said in _HALF else None


def names_of(endpoint: Endpoint) -> tuple[str, ...]:
    """Return every name the manifest gives its model."""
    source = endpoint.part("modelSourceConfig")
    return (
        endpoint.spec.get("modelName") or "",
        source.get("modelLocation") or "",
        endpoint.part("modelSourceConfig", "huggingFaceModel").get("modelId") or "",
    )
