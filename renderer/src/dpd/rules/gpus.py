"""GPUs: every role has some, a node has that many, and the engine's ranks fit on them."""

from collections.abc import Iterator

from dpd.endpoint import GPU, Endpoint, Role
from dpd.flags import whole_number
from dpd.instances import facts_of, has_no_gpus
from dpd.problems import FieldPath, Problem, shown, warning
from dpd.rules.per_role import PODS, told_once


def roles_have_gpus(endpoint: Endpoint) -> Iterator[Problem]:
    """Under pdSpec a role brings its own GPUs: worker.resources do not count there."""
    if not endpoint.is_disaggregated:
        return
    any_gpus = any(role.has_gpus for role in endpoint.roles)
    for role in endpoint.roles:
        if role.has_gpus or not endpoint.is_sound(role.path):
            continue
        nodes = [each for each in role.instance_types if not has_no_gpus(each)]
        if nodes:
            fact = f"asks for no {GPU} on {nodes[0]}, and worker.resources do not count under pdSpec"
        elif any_gpus:
            fact = f"asks for no {GPU} while the other role does, and KV moves from GPU to GPU"
        else:
            continue
        yield Problem(_limits(role), fact, f'add {GPU} with the number of GPUs, as in {GPU}: "8"')


def nodes_have_that_many(endpoint: Endpoint) -> Iterator[Problem]:
    """No pod asks for more GPUs than a node has."""
    for role in endpoint.roles:
        if not role.gpus:
            continue
        for instance_type in role.instance_types:
            facts = facts_of(instance_type)
            on_node = 0 if has_no_gpus(instance_type) else facts.gpus if facts else role.gpus
            if role.gpus > on_node:
                fact = f"{role.gpus} GPUs are asked for, {shown(instance_type)} has {on_node or 'none'}"
                yield Problem((*_limits(role), GPU), fact, _fewer(on_node))


def ranks_fit(endpoint: Endpoint) -> Iterator[Problem]:
    """Tensor- times pipeline-parallel ranks need a GPU each."""
    return told_once((role, each) for role in endpoint.roles for each in _ranks_of(role))


def _ranks_of(role: Role) -> Iterator[Problem]:
    tensor, pipeline = role.size("--tensor-parallel-size"), role.size("--pipeline-parallel-size")
    flag = role.flag("--tensor-parallel-size") or role.flag("--pipeline-parallel-size")
    if not role.gpus or flag is None or not whole_number(flag.value):
        return
    ranks, copies = tensor * pipeline, role.size("--data-parallel-size")
    if ranks > role.gpus:
        needs = f"{tensor} tensor-parallel" + (f" x {pipeline} pipeline-parallel" if pipeline > 1 else "")
        fact = f"{needs} ranks need {ranks} GPUs, and {role.gpus} are there for {PODS}"
        yield Problem(flag.path, fact, f"ask for {ranks} GPUs, or lower the flag")
    elif ranks * copies < role.gpus:
        fact = f"{ranks * copies} of the {role.gpus} GPUs of {PODS} are used"
        yield warning(flag.path, fact, f"ask for {ranks * copies}, or raise the flag")


def node_memory_suffices(endpoint: Endpoint) -> Iterator[Problem]:
    """A pod that asks for more memory than a node has waits for ever."""
    for role in endpoint.roles:
        for instance_type in role.instance_types:
            facts = facts_of(instance_type)
            if facts and role.memory is not None and role.memory > facts.memory_gib * 1024**3:
                fact = f"more than the {facts.memory_gib} GiB of {shown(instance_type)}"
                yield warning((*_limits(role), "memory"), fact, "ask for less")


def _limits(role: Role) -> FieldPath:
    return (*role.path, "resources", "limits")


def _fewer(on_node: int) -> str:
    return f"ask for {on_node} or fewer, or use another type" if on_node else "use a type with GPUs"
