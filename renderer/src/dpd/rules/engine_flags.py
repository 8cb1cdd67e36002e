"""Engine flags under pdSpec: what the chart writes itself, and what must be the same on both roles."""

from collections.abc import Iterator

from dpd.endpoint import Endpoint, Role
from dpd.flags import canonical, share, whole_number
from dpd.problems import FieldPath, Problem, shown, warning

_UTILIZATION = "--gpu-memory-utilization"
_KV_TRANSFER = "--kv-transfer-config"
_COUNTS = ("--tensor-parallel-size", "--pipeline-parallel-size")
_TENSOR = "--tensor-parallel-size"
_SAME = {
    _TENSOR: "each rank sends to its like",
    "--model": "KV is found by the model's name",
    "--kv-cache-dtype": "KV is taken over as it is",
}
_DEFAULTS = {"--tensor-parallel-size": "1", "--kv-cache-dtype": "auto"}


def transfer_config_is_ours(endpoint: Endpoint) -> Iterator[Problem]:
    """The chart gives each role its transfer configuration."""
    if not endpoint.is_disaggregated:
        return
    for path, args in dict(each for role in endpoint.roles for each in role.args).items():
        for index, token in enumerate(args):
            head = token.partition("=")[0].replace("_", "-")
            if head == _KV_TRANSFER or head.startswith(f"{_KV_TRANSFER}."):
                fact = f"{head} is set, and pdSpec gives each role its own"
                yield Problem((*path, index), fact, "remove it with its value")


def counts_are_numbers(endpoint: Endpoint) -> Iterator[Problem]:
    """Ports are counted by tensor-parallel ranks, so that flag must be readable."""
    for role in endpoint.roles:
        for name in _COUNTS:
            flag = role.flag(name)
            if flag is None or whole_number(flag.value):
                continue
            said = shown(flag.value) if flag.value is not None else "given without a value"
            yield Problem(flag.path, f"{name} is {said}", "write a whole number of 1 or more")


def utilization_is_a_share(endpoint: Endpoint) -> Iterator[Problem]:
    """The engine stops at anything that is no part of a GPU's memory."""
    for role in endpoint.roles:
        flag = role.flag(_UTILIZATION)
        if flag and "$(" not in (flag.value or "") and share(flag.value) is None:
            said = shown(flag.value) if flag.value is not None else "given without a value"
            remedy = "write a number above 0 and up to 1, as in 0.75"
            yield Problem(flag.path, f"{_UTILIZATION} is {said}, at which the engine stops", remedy)


def roles_agree(endpoint: Endpoint) -> Iterator[Problem]:
    """KV that one role computed must be KV the other can use."""
    if not endpoint.is_disaggregated or len(endpoint.roles) != 2:
        return
    prefill, decode = endpoint.roles
    for name, reason in _SAME.items():
        if name == _TENSOR and not endpoint.transfers_by_lmcache:
            continue
        sent, received = (_value(role, name) or _DEFAULTS.get(name) for role in (prefill, decode))
        if sent != received:
            yield _differs(decode, prefill, name, reason)


def model_has_no_at_sign(endpoint: Endpoint) -> Iterator[Problem]:
    """LMCache separates the parts of its keys by @."""
    for role in endpoint.roles if endpoint.transfers_by_lmcache else ():
        flag = role.flag("--model")
        if flag and flag.value and "@" in flag.value:
            fact = f"--model {shown(flag.value)} contains @, which LMCache cannot transfer"
            yield Problem(flag.path, fact, "use a path without @")


def decoders_have_no_prefix_cache(endpoint: Endpoint) -> Iterator[Problem]:
    """On a decoder the engine's prefix cache would leave transferred pages unread, so the chart turns it off."""
    for role in endpoint.roles if endpoint.transfers_by_lmcache else ():
        on, off = "--enable-prefix-caching", "--no-enable-prefix-caching"
        flag = role.flag(on, off)
        if role.name == "decode" and flag and _spelt(role, flag.path) == on and flag.value not in ("False", "false"):
            yield warning(flag.path, f"{on} is turned off on decoders: pages it hides are never freed", "remove it")


def pipelines_are_untested(endpoint: Endpoint) -> Iterator[Problem]:
    """Transfer ports are counted by tensor-parallel ranks alone."""
    for role in endpoint.roles if endpoint.is_disaggregated else ():
        for name in ("--pipeline-parallel-size", "--data-parallel-size"):
            flag = role.flag(name)
            if flag and role.size(name) > 1:
                fact = f"{name} {flag.value} under pdSpec: ranks of one pod would share their transfer ports"
                yield warning(flag.path, fact, "use --tensor-parallel-size and more replicas")


def _value(role: Role, name: str) -> str | None:
    flag = role.flag(name)
    return flag.value if flag else None


def _differs(decode: Role, prefill: Role, name: str, reason: str) -> Problem:
    flag = decode.flag(name) or prefill.flag(name)
    path: FieldPath = flag.path if flag else decode.path
    said = _value(decode, name) or "not set"
    fact = f"{name} is {said} on decoders and {_value(prefill, name) or 'not set'} on prefillers, and {reason}"
    return Problem(path, fact, "make them the same")


def _spelt(role: Role, path: FieldPath) -> str:
    args = dict(role.args)[path[:-1]]
    return canonical(args[int(path[-1])])
