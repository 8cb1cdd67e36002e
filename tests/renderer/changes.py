"""What the suites of the rules change in a sound manifest."""

from collections.abc import Callable
from typing import Any

Said = Callable[[dict[str, Any]], list[str]]
ANNOTATION = "inference.sagemaker.aws.amazon.com/dpd-transfer"
COLOCATED: dict[str, Any] = {"spec.pdSpec": None}
CONNECTOR = "inference.sagemaker.aws.amazon.com/dpd-connector"
NIXL = {"metadata.annotations": {CONNECTOR: "nixl"}, "spec.kvCacheSpec": None}
TCP = {"metadata.annotations": {ANNOTATION: "tcp"}}
GPUS_2 = {"limits": {"nvidia.com/gpu": 2}}


def env(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in (("PYTHONHASHSEED", "0"), *pairs)]


def args(*extra: str) -> list[str]:
    return ["--tensor-parallel-size", "8", "--gpu-memory-utilization", "0.75", *extra]
