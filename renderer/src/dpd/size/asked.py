"""Flags and manifest → the endpoint to be sized. Pure: flags become what a manifest would say, and are read as such."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from dpd.document import Document
from dpd.endpoint import GPU, Endpoint, endpoint_of
from dpd.instances import facts_of
from dpd.models import shape_of
from dpd.pages import BUFFER_SIZES, names_of
from dpd.size.architecture import Cache, Model, RefusedError
from dpd.size.arguments import ENGINE_FLAGS
from dpd.size.config import model_of, with_weights
from dpd.size.known import config_of
from dpd.sizing import quantity

Tree = Mapping[str, Any]
_LARGEST = 10**6
_SHAPE = ("layers", "heads", "kv_heads", "head_dim")


@dataclass(frozen=True, slots=True)
class Found:
    """What the model's folder holds: its configuration and how it is called, the bytes of its files if they say so."""

    config: Tree
    name: str
    total: int | None = None


def without_manifest(flags: Tree) -> Endpoint:
    """Return an endpoint that has nothing but what the flags say."""
    instance = flags.get("instance_type")
    facts = facts_of(instance) if instance else None
    gpus = {GPU: str(facts.gpus if facts else 1)}
    spec: dict[str, Any] = {"modelName": "", "worker": {"resources": {"limits": gpus}}}
    if not flags.get("colocated"):
        role = {"resources": {"limits": gpus}}
        spec["pdSpec"] = {"prefillSpec": role, "decodingSpec": role}
    return endpoint_of(Document({"metadata": {"name": "endpoint"}, "spec": spec}, 1))


def overlaid(endpoint: Endpoint, flags: Tree) -> Endpoint:
    """Return the endpoint with what flags say in place of what its manifest says. Raises RefusedError."""
    args = [each for name, _, _ in ENGINE_FLAGS if _given(flags, name) for each in (name, str(_given(flags, name)))]
    types = (flags["instance_type"],) if flags.get("instance_type") else None
    roles = tuple(
        replace(each, args=(*each.args, (("flags",), args)), instance_types=types or each.instance_types)
        for each in endpoint.roles
    )
    spec = dict(endpoint.spec)
    if flags.get("buffer"):
        kept = [each for each in endpoint.env if each.get("name") not in BUFFER_SIZES]
        size = {"name": "PD_BUFFER_SIZE", "value": str(whole_bytes(flags["buffer"], "--buffer"))}
        spec["worker"] = {**endpoint.part("worker"), "environmentVariables": [*kept, size]}
    return replace(endpoint, spec=spec, roles=roles)


def model_for(endpoint: Endpoint, flags: Tree, found: Found | None) -> tuple[Model, str]:
    """Return the model and its name: by its configuration, by flags, or by the manifest. Raises RefusedError."""
    given = whole_bytes(flags["weights"], "--weights") if flags.get("weights") else None
    if found:
        total, origin = (given, "--weights") if given else (found.total, "the model's index of files")
        return with_weights(model_of(found.config, found.name), total, origin), found.name
    if any(flags.get(each) is not None for each in _SHAPE):
        return with_weights(_by_flags(flags), given, "--weights"), "the model of the flags"
    shape = shape_of(names_of(endpoint))
    if shape is None:
        name = endpoint.spec.get("modelName")
        remedy = (
            "give its configuration, --model config.json, or --layers, --heads, --kv-heads, --head-dim and --weights"
        )
        raise RefusedError("model", f"{name} is not one whose shape is known" if name else "none is named", remedy)
    return with_weights(model_of(config_of(shape), shape.name), given, "--weights"), shape.name


def whole_bytes(text: str, name: str) -> int:
    """Return a size such as 8Gi in bytes. Raises RefusedError."""
    found = quantity(text)
    if found is None or found <= 0:
        raise RefusedError(name, f"{text} is not a size", "write bytes, or a number with a unit, as in 8Gi")
    return int(found)


def _by_flags(flags: Tree) -> Model:
    missing = [each for each in _SHAPE if flags.get(each) is None and each != "heads"]
    if missing:
        wanted = ", ".join(f"--{each.replace('_', '-')}" for each in missing)
        raise RefusedError("model", f"{wanted} missing beside the other parts of its shape", "add it, or give --model")
    layers, kv_heads, head_dim = flags["layers"], flags["kv_heads"], flags["head_dim"]
    heads = kv_heads * 8 if flags.get("heads") is None else flags["heads"]
    if not all(0 < each <= _LARGEST for each in (layers, kv_heads, head_dim, heads)):
        remedy = f"write whole numbers from 1 to {_LARGEST}"
        raise RefusedError("model", "a part of its shape is below 1 or not believable", remedy)
    return Model("model", Cache(layers, heads, kv_heads, head_dim), None)


def _given(flags: Tree, name: str) -> Any:
    return flags.get(name.removeprefix("--").replace("-", "_"))
