"""The rows about two roles that do not fit each other. Pure; each returns what was seen, or nothing."""

import re

from dpd.doctor.evidence import first_with
from dpd.doctor.facts import DECODE, PREFILL, Facts, Pod

_DEGRADED = re.compile(r"Failed to initialize LMCache|degraded mode \(recompute\)")
_ROLE = re.compile(r"'pd_role': '([a-z]+)'")
_WANTED = {PREFILL: "sender", DECODE: "receiver"}


def lmcache_degraded(facts: Facts) -> str:
    """An engine's LMCache gave up: the engine answers and computes everything itself."""
    return first_with(facts.engines, _DEGRADED)


def pd_role(facts: Facts) -> str:
    """A prefiller that does not send, or a decoder that does not receive."""
    for role, wanted in _WANTED.items():
        for pod in facts.of(role):
            found = _role_of(pod)
            if found and found != wanted:
                return f"{pod.name}: 'pd_role': '{found}', a {role} pod needs '{wanted}'"
    return ""


def same_image(facts: Facts) -> str:
    """Prefillers and decoders of different images."""
    return _differs(facts, "image", {each.name: each.image for each in facts.of(PREFILL, DECODE)})


def hash_seed(facts: Facts) -> str:
    """Prefillers and decoders that hash the same prompt to different names."""
    seeds = {
        each.name: each.variables.get("PYTHONHASHSEED", "") for each in facts.of(PREFILL, DECODE) if each.variables
    }
    unset = [name for name, seed in seeds.items() if seed in ("", "random")]
    if unset:
        return f"{unset[0]}: PYTHONHASHSEED is not set to a number"
    return _differs(facts, "PYTHONHASHSEED", seeds)


def _role_of(pod: Pod) -> str:
    said = _ROLE.findall(pod.log)
    return said[-1] if said else str(pod.cache.get("pd_role") or "")


def _differs(facts: Facts, what: str, held: dict[str, str]) -> str:
    """Compare the first prefiller with every decoder, and every other prefiller with it."""
    first = next((each.name for each in facts.of(PREFILL) if held.get(each.name)), "")
    for name, value in held.items():
        if first and value and value != held[first]:
            return f"{first} has {what} {held[first]}, {name} has {value}"
    return ""
