"""kvCacheSpec: a second level is somewhere, keeps models apart and secrets to itself; nothing said is passed over."""

import re
from collections.abc import Iterator

from dpd.endpoint import Endpoint
from dpd.problems import FieldPath, Problem, shown, warning

_CACHE: FieldPath = ("spec", "kvCacheSpec")
_LEVEL: FieldPath = (*_CACHE, "l2CacheSpec")
_URL: FieldPath = (*_LEVEL, "l2CacheLocalUrl")
_ADDRESS = re.compile(r"(redis|rediss|redis-sentinel|redis-cluster|valkey|unix)://[^\s]+\Z")
_PASSWORD = re.compile(r"\A[a-z-]+://[^@/]*:(?!\$\()[^@/]+@")
# A Redis server has numbered databases; a cluster has none.
_NO_DATABASE = re.compile(r"\A(redis|rediss|valkey)://[^/?]+(/0?)?\Z")
_COMMON_PATH = "/opt/ml/model"
_SECTIONS = ("weightsCache", "imageCache")
_CONFIG_FLAG = "--kv-transfer-config"


def second_level_has_a_backend(endpoint: Endpoint) -> Iterator[Problem]:
    """enableL2Cache goes with l2CacheSpec, and Redis with its address."""
    cache = endpoint.part("kvCacheSpec")
    if not cache.get("enableL2Cache") or cache.get("cacheConfigFile") or not endpoint.is_sound(_CACHE):
        return
    level = endpoint.part("kvCacheSpec", "l2CacheSpec")
    if not level.get("l2CacheBackend"):
        where = (*_LEVEL, "l2CacheBackend") if "l2CacheSpec" in cache else _LEVEL
        yield Problem(where, "required when enableL2Cache is true", "add it, or set enableL2Cache to false")
    elif _is_redis(endpoint) and not level.get("l2CacheLocalUrl"):
        yield Problem(_URL, "required when l2CacheBackend is redis", "add the address of Redis")


def address_is_one_lmcache_takes(endpoint: Endpoint) -> Iterator[Problem]:
    """LMCache goes on without a second level when it cannot read the URL."""
    url = _redis_url(endpoint)
    if url and not _ADDRESS.match(url):
        remedy = "write redis://HOST:PORT, or rediss:// for TLS, redis-cluster:// for a cluster"
        yield Problem(_URL, f"{shown(url)} is no address that LMCache takes", remedy)


def passwords_stay_in_secrets(endpoint: Endpoint) -> Iterator[Problem]:
    """What stands in the URL stands in a ConfigMap."""
    url = _redis_url(endpoint)
    if url and _PASSWORD.match(url):
        fact = "has a password in it, and comes to lie in a ConfigMap"
        remedy = "take it from a Secret in worker.environmentVariables and write $(NAME) here"
        yield warning(_URL, fact, remedy)


def models_do_not_share_a_database(endpoint: Endpoint) -> Iterator[Problem]:
    """LMCache files KV under the model's path, which every endpoint calls the same."""
    url = _redis_url(endpoint)
    named = {role.flag("--model") for role in endpoint.roles}
    paths = {flag.value for flag in named if flag} or {_mount_path(endpoint)}
    if url and _NO_DATABASE.match(url) and _COMMON_PATH in paths:
        fact = f"KV is kept there under the model's path, {_COMMON_PATH}, which other endpoints have too"
        remedy = "give this endpoint a database of its own, as in …:6379/1, or its model another mountPath"
        yield warning(_URL, fact, remedy)


def own_file_is_a_path(endpoint: Endpoint) -> Iterator[Problem]:
    """cacheConfigFile names a file that the container has."""
    file = endpoint.part("kvCacheSpec").get("cacheConfigFile") or ""
    where = (*_CACHE, "cacheConfigFile")
    if "\n" in file:
        remedy = "put the file into the image or beside the model, and write its path"
        yield Problem(where, "is a text of several lines, not the path of a file in the worker container", remedy)
    elif file and endpoint.is_disaggregated:
        fact = "prefillers read it, yet store nothing in its levels before their LMCache has the plugin own_names"
        yield warning(where, fact, "name that plugin in the file, as docs/caching.md shows")


def nothing_is_overridden(endpoint: Endpoint) -> Iterator[Problem]:
    """What another field makes void is said."""
    cache = endpoint.part("kvCacheSpec")
    if cache.get("cacheConfigFile"):
        for name in ("enableL1Cache", "enableL2Cache", "l2CacheSpec"):
            if name in cache:
                yield warning((*_CACHE, name), "not used beside cacheConfigFile, which overrides it", "remove it")
        return
    if "l2CacheSpec" in cache and not cache.get("enableL2Cache"):
        yield warning(_LEVEL, "not used while enableL2Cache is not true", "set that to true, or remove it")
    elif _URL[-1] in endpoint.part("kvCacheSpec", "l2CacheSpec") and not _is_redis(endpoint):
        yield warning(_URL, "not used: managed tiered storage is on every node", "remove it")
    for role in endpoint.roles:
        flag = role.flag(_CONFIG_FLAG)
        if cache and flag and not endpoint.is_disaggregated:
            yield warning(_CACHE, f"not used beside the {_CONFIG_FLAG} of worker.args", "keep one of them")


def plugin_is_found(endpoint: Endpoint) -> Iterator[Problem]:
    """Prefillers keep KV only with a plugin, which Python finds by its path."""
    cache = endpoint.part("kvCacheSpec")
    kept = cache.get("enableL1Cache", "kvCacheSpec" in endpoint.spec) or cache.get("enableL2Cache")
    for index, each in enumerate(endpoint.env):
        folders = str(each.get("value", "")).split(":")
        if each.get("name") == "PYTHONPATH" and endpoint.is_disaggregated and kept and "/etc/lmcache" not in folders:
            path: FieldPath = ("spec", "worker", "environmentVariables", index)
            fact = "prefillers do not find LMCache's plugin in /etc/lmcache, and keep no KV outside their GPUs"
            yield warning(path, fact, "add :/etc/lmcache to it")


def model_cache_sections_are_known(endpoint: Endpoint) -> Iterator[Problem]:
    """Of modelCacheConfig AWS has published two sections by name, and nothing of what else they hold."""
    for name, section in endpoint.part("modelCacheConfig").items():
        where: FieldPath = ("spec", "modelCacheConfig", name)
        if name not in _SECTIONS:
            remedy = f"write {' or '.join(_SECTIONS)}, or leave it for HyperPod"
            yield warning(where, "accepted, no effect here: it is no section that is known", remedy)
            continue
        for key in section if type(section) is dict else ():
            if key != "enabled":
                yield warning(
                    (*where, key),
                    "accepted, no effect here: only enabled is read",
                    "remove it, or leave it for HyperPod",
                )


def _is_redis(endpoint: Endpoint) -> bool:
    return "redis" in str(endpoint.part("kvCacheSpec", "l2CacheSpec").get("l2CacheBackend", "")).lower()


def _redis_url(endpoint: Endpoint) -> str | None:
    """The URL of a second level that is on."""
    cache = endpoint.part("kvCacheSpec")
    on = cache.get("enableL2Cache") and not cache.get("cacheConfigFile") and _is_redis(endpoint)
    found: str | None = endpoint.part("kvCacheSpec", "l2CacheSpec").get("l2CacheLocalUrl") if on else None
    return found


def _mount_path(endpoint: Endpoint) -> str:
    found: str = endpoint.part("worker", "modelVolumeMount").get("mountPath") or _COMMON_PATH
    return found
