"""The endpoint a sound document describes, as rules and rendering look at it.

Parts the contract refused are already gone from `spec`, so whatever is present has the type the contract gives it;
`unsound` remembers their paths, so that no rule complains of something missing that is merely misspelt.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

from dpd.document import Document, without_nulls, without_paths
from dpd.flags import Flag, parse, whole_number
from dpd.placement import named_types
from dpd.problems import FieldPath
from dpd.sizing import quantity

GPU = "nvidia.com/gpu"
TRANSFER_ANNOTATION = "inference.sagemaker.aws.amazon.com/dpd-transfer"
CONNECTOR_ANNOTATION = "inference.sagemaker.aws.amazon.com/dpd-connector"
DEFAULT_NAMESPACE = "default"

Tree = Mapping[str, Any]


@dataclass(frozen=True)
class Role:
    """A worker in its role. `path` is where its replicas and resources are written; `args` come worker's first."""

    name: str
    path: FieldPath
    resources: Tree
    replicas: int
    args: tuple[tuple[FieldPath, Sequence[str]], ...]
    instance_types: tuple[str, ...]

    @cached_property
    def _flags(self) -> tuple[tuple[str, Flag], ...]:
        """Every flag under its canonical name, the one in force before those it wins over."""
        return tuple(each for path, args in reversed(self.args) for each in reversed([*parse(args, path)]))

    def flag(self, *names: str) -> Flag | None:
        """Return the flag in force: the role's own, else the worker's."""
        return next((flag for name, flag in self._flags if name in names), None)

    def size(self, name: str) -> int:
        """Return a flag that counts (tensor-parallel size …) as a number; 1 when absent or not a number."""
        found = self.flag(name)
        return (whole_number(found.value) if found else None) or 1

    @property
    def ranks(self) -> int:
        """Tensor-parallel ranks: one transfer port and one L1 share each."""
        return self.size("--tensor-parallel-size")

    @property
    def gpus(self) -> int:
        """Whole GPUs a pod of this role asks for."""
        found = self.asked(GPU)
        return int(found) if found is not None else 0

    @property
    def has_gpus(self) -> bool:
        """Whether a pod of this role asks for any NVIDIA GPU, whole or a slice of one."""
        held = [*(self.resources.get("limits") or {}), *(self.resources.get("requests") or {})]
        return self.gpus > 0 or any(each.startswith("nvidia.com/mig-") for each in held)

    @property
    def memory(self) -> Decimal | None:
        """Bytes of memory a pod of this role may use, or None when it names none."""
        return self.asked("memory")

    def asked(self, resource: str) -> Decimal | None:
        """Return the limit of `resource`, else its request, else None."""
        for key in ("limits", "requests"):
            held = (self.resources.get(key) or {}).get(resource)
            if held is not None:
                return quantity(held)
        return None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One InferenceEndpointConfig: identity, sound parts of its spec, and its roles (one when colocated)."""

    name: str
    namespace: str | None
    annotations: Mapping[str, str]
    spec: Tree
    roles: tuple[Role, ...]
    unsound: frozenset[FieldPath] = frozenset()
    empty: frozenset[FieldPath] = frozenset()

    @property
    def is_disaggregated(self) -> bool:
        """Whether pdSpec is set."""
        return "pdSpec" in self.spec

    @property
    def transfers_by_lmcache(self) -> bool:
        """Whether LMCache moves KV between the roles, and not vLLM's own connector."""
        return self.is_disaggregated and self.annotations.get(CONNECTOR_ANNOTATION) != "nixl"

    @property
    def has_router(self) -> bool:
        """Whether a router is drawn: always under pdSpec, else when intelligent routing is on."""
        return self.is_disaggregated or bool(self.part("intelligentRoutingSpec").get("enabled", False))

    @property
    def instance_types(self) -> tuple[str, ...]:
        """Every instance type any role may run on, in the manifest's order; empty when none is named."""
        return tuple(dict.fromkeys(each for role in self.roles for each in role.instance_types))

    @property
    def env(self) -> list[Tree]:
        """The worker's environment variables."""
        found: list[Tree] = self.part("worker").get("environmentVariables") or []
        return found

    def env_value(self, name: str) -> str | None:
        """Return the plain value of an environment variable, or None when unset or not a plain value."""
        values = [each.get("value") for each in self.env if each.get("name") == name and "valueFrom" not in each]
        return (values[-1] or "") if values else None

    def part(self, *keys: str) -> Tree:
        """Return the mapping at `keys` of the spec, empty when it is absent."""
        found: Tree = self.spec
        for key in keys:
            found = found.get(key) or {}
        return found

    def is_sound(self, path: FieldPath) -> bool:
        """Whether the contract refused nothing at or under `path`."""
        return not any(each[: len(path)] == path for each in self.unsound)


def endpoint_of(document: Document, unsound: Iterable[FieldPath] = ()) -> Endpoint:
    """Look at a document as an endpoint, leaving out what lies at the `unsound` paths."""
    refused = frozenset(unsound)
    pruned = without_paths(without_nulls(document.value), refused)
    metadata = pruned.get("metadata") or {}
    spec: Tree = pruned.get("spec") or {}
    return Endpoint(
        name=metadata.get("name") or "",
        namespace=metadata.get("namespace"),
        annotations=metadata.get("annotations") or {},
        spec=spec,
        roles=_roles(spec),
        unsound=refused,
        empty=_empty_keys(document.value.get("spec")),
    )


def _empty_keys(spec: Any) -> frozenset[FieldPath]:
    """The keys of spec that have no value; the spec itself may be anything yet."""
    held = spec if isinstance(spec, dict) else {}
    return frozenset(("spec", key) for key, each in held.items() if each is None)


def _roles(spec: Tree) -> tuple[Role, ...]:
    if "pdSpec" not in spec:
        worker = spec.get("worker") or {}
        role = _role("worker", ("spec", "worker"), worker, spec, shared=())
        return (role,)
    worker_args = ((("spec", "worker", "args"), (spec.get("worker") or {}).get("args") or []),)
    pd_spec = spec["pdSpec"]
    return tuple(
        _role(name, ("spec", "pdSpec", key), pd_spec[key], spec, shared=worker_args)
        for name, key in (("prefill", "prefillSpec"), ("decode", "decodingSpec"))
        if key in pd_spec
    )


def _role(
    name: str,
    path: FieldPath,
    held: Tree,
    spec: Tree,
    shared: tuple[tuple[FieldPath, Sequence[str]], ...],
) -> Role:
    colocated = name == "worker"
    return Role(
        name=name,
        path=path,
        resources=held.get("resources") or {},
        replicas=(spec if colocated else held).get("replicas", 1),
        args=(*shared, ((*path, "args"), held.get("args") or [])),
        instance_types=named_types(spec, held.get("nodeSelector") or {}),
    )
