"""What LMCache must be told through the environment for KV to be found and to find room."""

import re
from collections.abc import Iterator

from dpd.endpoint import Endpoint, Role
from dpd.flags import share
from dpd.instances import facts_of
from dpd.pages import BUFFER_SIZES, PAGE_TOKENS, buffer_bytes, decoder_of, longest_prompt, pages_of, routers_of
from dpd.problems import FieldPath, Problem, short, shown, warning
from dpd.rules.per_role import PODS, told_once
from dpd.sizing import DEFAULT_GPU_MEMORY_UTILIZATION, gib, gpu_memory_left

_ENV: FieldPath = ("spec", "worker", "environmentVariables")
_TRUE = frozenset({"true", "1", "yes", "on"})
_DIGITS = re.compile(r"[0-9]{1,18}\Z")
_UTILIZATION = "--gpu-memory-utilization"


def hashes_agree(endpoint: Endpoint) -> Iterator[Problem]:
    """Both roles must hash a prompt alike: one seed, and the built-in hash."""
    if not endpoint.transfers_by_lmcache:
        return
    seed = endpoint.env_value("PYTHONHASHSEED")
    if not _names(endpoint, "PYTHONHASHSEED"):
        if endpoint.is_sound(_ENV[:2]):
            fact = "PYTHONHASHSEED is not set, so the chart sets it to 0"
            yield warning(_ENV, fact, 'add it with value "0": both roles must hash prompts alike')
    elif seed != "0" and endpoint.is_sound(_path(endpoint, "PYTHONHASHSEED")):
        fact = f"PYTHONHASHSEED is {shown(seed) if seed is not None else 'not a plain value'}"
        yield warning(_path(endpoint, "PYTHONHASHSEED"), fact, 'set it to "0": both roles must hash prompts alike')
    algorithm = endpoint.env_value("LMCACHE_PRE_CACHING_HASH_ALGORITHM")
    if algorithm not in (None, "builtin"):
        fact = f"{shown(algorithm)} hashes cannot be matched between the roles by LMCache 0.4.3"
        yield warning(_path(endpoint, "LMCACHE_PRE_CACHING_HASH_ALGORITHM"), fact, "write builtin, or remove it")


def decoders_cache_nothing(endpoint: Endpoint) -> Iterator[Problem]:
    """What a decoder would keep is kept by the prefillers already."""
    saved = endpoint.env_value("LMCACHE_SAVE_DECODE_CACHE")
    if endpoint.is_disaggregated and saved is not None and saved.casefold() in _TRUE:
        fact = "decoders would cache again what prefillers hold"
        yield warning(_path(endpoint, "LMCACHE_SAVE_DECODE_CACHE"), fact, 'set it to "False", or remove it')


def buffer_sizes_are_numbers(endpoint: Endpoint) -> Iterator[Problem]:
    """Buffer sizes are numbers of bytes, and both spellings of the name say the same."""
    if not endpoint.is_disaggregated:
        return
    for name in BUFFER_SIZES:
        value = endpoint.env_value(name)
        if value is not None and not _DIGITS.match(value) and "$(" not in value:
            fact = f"{name} is {shown(value)}, not a number of bytes"
            yield Problem((*_path(endpoint, name), "value"), fact, 'write it out, as in "8589934592" for 8 GiB')
    ours, theirs = (endpoint.env_value(name) for name in BUFFER_SIZES)
    if ours is not None and theirs is not None and ours != theirs and "$(" not in ours:
        fact = f"LMCACHE_PD_BUFFER_SIZE, which is {shown(ours)}, wins over PD_BUFFER_SIZE, which is {shown(theirs)}"
        yield warning(_path(endpoint, BUFFER_SIZES[0]), fact, "keep PD_BUFFER_SIZE only")


def buffers_fit(endpoint: Endpoint) -> Iterator[Problem]:
    """The transfer buffer lies on the GPU, in what the engine leaves of it."""
    size = buffer_bytes(endpoint)
    if not endpoint.is_disaggregated or size is None:
        return
    yield from told_once((role, each) for role in endpoint.roles for each in _buffer_of(endpoint, role, size))


def buffers_hold_the_longest_prompt(endpoint: Endpoint) -> Iterator[Problem]:
    """A prompt needs all its pages in one router's share of a buffer; one that does not fit is not disaggregated."""
    decoder, pages = decoder_of(endpoint), pages_of(endpoint)
    if decoder is None or pages is None:
        return
    longest = longest_prompt(decoder)
    flag = decoder.flag("--max-model-len")
    needed, routers = longest // PAGE_TOKENS + 1 if longest else 1, routers_of(endpoint)
    if pages.share(routers) < needed:
        where = flag.path if flag and longest else _size_path(endpoint)
        prompt = f"a prompt of {longest} tokens takes {needed}" if longest else "a prompt takes 1 at least"
        owned = f"{pages.share(routers)} of the {pages.count} pages in a decoder's buffer"
        fact = f"{prompt}, and a router owns {owned}, so it goes direct, without a prefiller"
        yield warning(where, fact, f"raise PD_BUFFER_SIZE ({pages.arithmetic}), or lower --max-model-len")


def _buffer_of(endpoint: Endpoint, role: Role, size: int) -> Iterator[Problem]:
    per_gpu = [facts.gpu_memory_gib for facts in map(facts_of, role.instance_types) if facts]
    utilization = _utilization(role)
    if utilization is None or not per_gpu or not role.has_gpus:
        return
    left = gpu_memory_left(min(per_gpu), utilization)
    if size > left:
        yield _too_big(endpoint, role, size, left)


def _too_big(endpoint: Endpoint, role: Role, size: int, left: int) -> Problem:
    flag = role.flag(_UTILIZATION)
    said = (
        f"{_UTILIZATION} {short(flag.value or '')}"
        if flag
        else f"the default {_UTILIZATION} {DEFAULT_GPU_MEMORY_UTILIZATION}"
    )
    fact = f"the PD buffer takes {gib(size)} of each GPU, {said} leaves {gib(left)} on {PODS}"
    return warning(_size_path(endpoint), fact, f"lower {_UTILIZATION}, or PD_BUFFER_SIZE")


def _size_path(endpoint: Endpoint) -> FieldPath:
    return next((_path(endpoint, name) for name in BUFFER_SIZES if _names(endpoint, name)), _ENV)


def _utilization(role: Role) -> float | None:
    flag = role.flag(_UTILIZATION)
    if flag is None:
        return DEFAULT_GPU_MEMORY_UTILIZATION
    return share(flag.value)


def _names(endpoint: Endpoint, name: str) -> bool:
    return any(each.get("name") == name for each in endpoint.env)


def _path(endpoint: Endpoint, name: str) -> FieldPath:
    return (*_ENV, max(index for index, each in enumerate(endpoint.env) if each.get("name") == name))
