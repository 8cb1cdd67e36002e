"""kvCacheSpec: a second cache level needs to be somewhere."""

from collections.abc import Iterator

from dpd.endpoint import Endpoint
from dpd.problems import FieldPath, Problem

_CACHE: FieldPath = ("spec", "kvCacheSpec")


def second_level_has_a_backend(endpoint: Endpoint) -> Iterator[Problem]:
    """enableL2Cache goes with l2CacheSpec, and Redis with its address."""
    cache = endpoint.part("kvCacheSpec")
    if not cache.get("enableL2Cache") or cache.get("cacheConfigFile") or not endpoint.is_sound(_CACHE):
        return
    backend = endpoint.part("kvCacheSpec", "l2CacheSpec")
    path = (*_CACHE, "l2CacheSpec")
    if not backend.get("l2CacheBackend"):
        where = (*path, "l2CacheBackend") if "l2CacheSpec" in cache else path
        yield Problem(where, "required when enableL2Cache is true", "add it, or set enableL2Cache to false")
    elif "redis" in backend["l2CacheBackend"].lower() and not backend.get("l2CacheLocalUrl"):
        yield Problem((*path, "l2CacheLocalUrl"), "required when l2CacheBackend is redis", "add the address of Redis")
