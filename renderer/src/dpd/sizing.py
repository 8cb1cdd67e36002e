"""Arithmetic of memory: Kubernetes quantities, what an engine leaves of a GPU, how much RAM the L1 cache may take.

Pure; nothing here knows where a number came from.
"""

import re
from decimal import Decimal, InvalidOperation
from math import floor

GIB = 1024**3
DEFAULT_PD_BUFFER_BYTES = 8 * GIB
DEFAULT_GPU_MEMORY_UTILIZATION = 0.9
L1_SHARE = Decimal("0.25")

_QUANTITY = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))(?:([KMGTPE]i|[numkMGTPE])|[eE]([+-]?[0-9]{1,3}))?\Z")
_UNITS = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "k": Decimal("1e3"),
    **{unit: Decimal(10) ** (3 * power) for power, unit in enumerate("MGTPE", start=2)},
    **{f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", start=1)},
}
_LONGEST = 64
_LARGEST = 2**63 - 1


def quantity(value: str | int) -> Decimal | None:
    """Return a Kubernetes quantity as a number (bytes for memory, cores for cpu).

    None when it does not parse, or is longer or larger than Kubernetes can count.
    """
    written = str(value) if not isinstance(value, int) or value.bit_length() < _LONGEST else ""
    found = _QUANTITY.match(written) if len(written) <= _LONGEST else None
    if found is None:
        return None
    number, unit, exponent = found.groups()
    try:
        amount = Decimal(number) * (_UNITS[unit] if unit else Decimal(10) ** int(exponent or 0))
    except InvalidOperation:
        return None
    return amount if abs(amount) <= _LARGEST else None


def gib(count: int | float | Decimal) -> str:
    """Write a number of bytes as GiB, with at most two decimals and no trailing zeros: `8 GiB`, `7.45 GiB`."""
    text = f"{float(count) / GIB:.2f}".rstrip("0").rstrip(".")
    return f"{text} GiB"


def gpu_memory_left(gpu_memory_gib: int, utilization: float) -> int:
    """Bytes of one GPU the engine leaves to others when it takes the fraction `utilization`."""
    return floor(gpu_memory_gib * GIB * (1 - utilization) + 0.5)


def share_of_node(memory_gib: int, gpus: int, node_gpus: int) -> Decimal:
    """Bytes of a node's memory that fall to a pod with `gpus` of its `node_gpus` GPUs."""
    return Decimal(memory_gib) * GIB * gpus / node_gpus


def l1_gib_per_rank(pod_bytes: Decimal, ranks: int) -> int:
    """Whole GiB of L1 cache for each of `ranks` ranks: a quarter of the pod's memory, at least 1."""
    return max(1, floor(pod_bytes * L1_SHARE / GIB / ranks))
