"""What one node of an instance type offers: the one table of facts, and what can be told of types outside it.

DPD over EFA needs GPU-Direct RDMA; the types that are supported for it are marked. Figures are those AWS publishes for
the types; GPU memory is what the vendor prints on the GPU. Other GPU types are listed so that a manifest can be
checked and rendered for them, colocated or with TCP transfer.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

HUGEPAGES_2MI = "5120Mi"


@dataclass(frozen=True, slots=True)
class Instance:
    """One node: GPUs, GiB of memory per GPU and per node, vCPUs, EFA devices (None: not known here)."""

    gpus: int
    gpu_memory_gib: int
    memory_gib: int
    vcpus: int
    efa_interfaces: int | None = None
    gpu_direct: bool = False


_TABLE: dict[str, Instance] = {
    "p5.48xlarge": Instance(8, 80, 2048, 192, 32, gpu_direct=True),
    "p5e.48xlarge": Instance(8, 141, 2048, 192, 32, gpu_direct=True),
    "p5en.48xlarge": Instance(8, 141, 2048, 192, 16, gpu_direct=True),
    "p6-b200.48xlarge": Instance(8, 179, 2048, 192, 8, gpu_direct=True),
    "p6-b300.48xlarge": Instance(8, 268, 4096, 192, 16, gpu_direct=True),
    "p5.4xlarge": Instance(1, 80, 256, 16),
    "p4d.24xlarge": Instance(8, 40, 1152, 96, 4),
    "p4de.24xlarge": Instance(8, 80, 1152, 96, 4),
    "p3.2xlarge": Instance(1, 16, 61, 8),
    "p3.8xlarge": Instance(4, 16, 244, 32),
    "p3.16xlarge": Instance(8, 16, 488, 64),
    "p3dn.24xlarge": Instance(8, 32, 768, 96),
    "g4dn.xlarge": Instance(1, 16, 16, 4),
    "g4dn.2xlarge": Instance(1, 16, 32, 8),
    "g4dn.4xlarge": Instance(1, 16, 64, 16),
    "g4dn.8xlarge": Instance(1, 16, 128, 32),
    "g4dn.12xlarge": Instance(4, 16, 192, 48),
    "g4dn.16xlarge": Instance(1, 16, 256, 64),
    "g5.xlarge": Instance(1, 24, 16, 4),
    "g5.2xlarge": Instance(1, 24, 32, 8),
    "g5.4xlarge": Instance(1, 24, 64, 16),
    "g5.8xlarge": Instance(1, 24, 128, 32),
    "g5.12xlarge": Instance(4, 24, 192, 48),
    "g5.16xlarge": Instance(1, 24, 256, 64),
    "g5.24xlarge": Instance(4, 24, 384, 96),
    "g5.48xlarge": Instance(8, 24, 768, 192),
    "g6.xlarge": Instance(1, 24, 16, 4),
    "g6.2xlarge": Instance(1, 24, 32, 8),
    "g6.4xlarge": Instance(1, 24, 64, 16),
    "g6.8xlarge": Instance(1, 24, 128, 32),
    "g6.12xlarge": Instance(4, 24, 192, 48),
    "g6.16xlarge": Instance(1, 24, 256, 64),
    "g6.24xlarge": Instance(4, 24, 384, 96),
    "g6.48xlarge": Instance(8, 24, 768, 192),
    "g6e.xlarge": Instance(1, 48, 32, 4),
    "g6e.2xlarge": Instance(1, 48, 64, 8),
    "g6e.4xlarge": Instance(1, 48, 128, 16),
    "g6e.8xlarge": Instance(1, 48, 256, 32),
    "g6e.12xlarge": Instance(4, 48, 384, 48),
    "g6e.16xlarge": Instance(1, 48, 512, 64),
    "g6e.24xlarge": Instance(4, 48, 768, 96),
    "g6e.48xlarge": Instance(8, 48, 1536, 192),
}
_NO_NVIDIA_GPU = re.compile(r"(?:[acmrtidxzh]\d|hpc\d|im\d|is\d|u-|u7|trn|inf|dl\d|vt\d)")

GPU_DIRECT_TYPES = tuple(f"ml.{name}" for name, facts in _TABLE.items() if facts.gpu_direct)


def facts_of(instance_type: str) -> Instance | None:
    """Return the facts of a type, with or without its `ml.` prefix, or None when the table does not have it."""
    return _TABLE.get(instance_type.removeprefix("ml."))


def known_types() -> tuple[str, ...]:
    """Return the types of the table, as SageMaker writes them."""
    return tuple(f"ml.{name}" for name in _TABLE)


def has_no_gpus(instance_type: str) -> bool:
    """Whether the type is of a family without NVIDIA GPUs."""
    return _NO_NVIDIA_GPU.match(instance_type.removeprefix("ml.")) is not None


def least(instances: Sequence[Instance]) -> Instance:
    """Return what every one of `instances` offers at least. Raises ValueError when there is none."""
    efa = [each.efa_interfaces for each in instances]
    return Instance(
        gpus=min(each.gpus for each in instances),
        gpu_memory_gib=min(each.gpu_memory_gib for each in instances),
        memory_gib=min(each.memory_gib for each in instances),
        vcpus=min(each.vcpus for each in instances),
        efa_interfaces=None if None in efa else min(each for each in efa if each is not None),
        gpu_direct=all(each.gpu_direct for each in instances),
    )
