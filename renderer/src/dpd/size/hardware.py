"""What a GPU of an instance type can do, by its maker's data sheet: dense 16-bit arithmetic, memory, network."""

from dataclasses import dataclass

_TCP = 1e9


@dataclass(frozen=True, slots=True)
class Gpu:
    """flops: dense, 16 bits, in a second; bandwidth: bytes of its memory; network: bytes to another node, its share."""

    name: str
    flops: float
    bandwidth: float
    network: float = _TCP


_BY_FAMILY = {
    "p5": Gpu("H100", 989e12, 3.35e12, 50e9),
    "p5e": Gpu("H200", 989e12, 4.8e12, 50e9),
    "p5en": Gpu("H200", 989e12, 4.8e12, 50e9),
    "p6-b200": Gpu("B200", 2250e12, 8e12, 50e9),
    "p6-b300": Gpu("B300", 2250e12, 8e12, 100e9),
    "p4d": Gpu("A100 40 GB", 312e12, 1.555e12, 6.25e9),
    "p4de": Gpu("A100 80 GB", 312e12, 2.039e12, 6.25e9),
    "p3": Gpu("V100", 125e12, 0.9e12),
    "p3dn": Gpu("V100", 125e12, 0.9e12),
    "g4dn": Gpu("T4", 65e12, 0.32e12),
    "g5": Gpu("A10G", 70e12, 0.6e12),
    "g6": Gpu("L4", 121e12, 0.3e12),
    "g6e": Gpu("L40S", 362e12, 0.864e12),
}


def gpu_of(instance_type: str) -> Gpu | None:
    """Return the GPU of an instance type, with or without its `ml.` prefix; None when the family is not known."""
    return _BY_FAMILY.get(instance_type.removeprefix("ml.").partition(".")[0])


def slowest(instance_types: tuple[str, ...]) -> Gpu | None:
    """Return the least that every one of the types offers; None when one of them is not known."""
    found = [gpu_of(each) for each in instance_types]
    known = [each for each in found if each]
    if not known or len(known) < len(found):
        return None
    return Gpu(
        " or ".join(dict.fromkeys(each.name for each in known)),
        min(each.flops for each in known),
        min(each.bandwidth for each in known),
        min(each.network for each in known),
    )
