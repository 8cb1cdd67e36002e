"""A storage plugin for LMCache on prefillers: what is copied out of the transfer buffer keeps its own name.

A sender allocates in the transfer buffer; what host memory and the stores behind it keep is a copy. LMCache 0.4.3
copies only chunks that host memory lacks, and then files these copies under the names of the first chunks of the
prompt: a later prompt finds another text's KV under its name, and the model answers from that. Later versions of
LMCache have this mended.

Until the plugin is loaded nothing is copied at all (`store_location: PDBackend` in lmcache.yaml), so an image that does
not load it loses a cache, and no answer is wrong. LMCache imports it, as its configuration says, into the engine.
"""

from collections.abc import Sequence
from typing import Any

from lmcache.v1.storage_backend import storage_manager  # type: ignore[import-not-found]
from lmcache.v1.storage_backend.abstract_backend import (  # type: ignore[import-not-found]
    StorageBackendInterface,
)

_copy = storage_manager.allocate_and_copy_objects
_put = storage_manager.StorageManager.batched_put
_BUFFER = "PDBackend"


def copied(allocator: Any, keys: Sequence[Any], objects: Sequence[Any], stream: Any) -> tuple[list[Any], list[Any]]:
    """Copy what `allocator` lacks, one chunk at a time, and return each copy under its own key.

    Stops at the first chunk there is no memory for, as LMCache does.
    """
    names: list[Any] = []
    copies: list[Any] = []
    for key, chunk in zip(keys, objects, strict=False):
        _, made = _copy(allocator, [key], [chunk], stream)
        if made:
            names.append(key)
            copies.extend(made)
        elif not allocator.contains(key):
            break
    return names, copies


def put(manager: Any, keys: Any, objects: Any, transfer_spec: Any = None, location: str | None = None) -> Any:
    """Store as LMCache does; what the configuration keeps to the transfer buffer goes everywhere again."""
    return _put(manager, keys, objects, transfer_spec=transfer_spec, location=None if location == _BUFFER else location)


storage_manager.allocate_and_copy_objects = copied
storage_manager.StorageManager.batched_put = put


class OwnNames(StorageBackendInterface):  # type: ignore[misc]
    """A store that holds nothing: LMCache loads a module only for the sake of one."""

    def __init__(self, local_cpu_backend: Any = None, dst_device: str = "cuda", **_: Any) -> None:
        super().__init__(dst_device=dst_device)
        self._host = local_cpu_backend

    def contains(self, *_: Any, **__: Any) -> bool:
        """Never."""
        return False

    def exists_in_put_tasks(self, *_: Any, **__: Any) -> bool:
        """Never."""
        return False

    def batched_submit_put_task(self, *_: Any, **__: Any) -> None:
        """Nothing is kept."""

    def get_blocking(self, *_: Any, **__: Any) -> None:
        """Nothing is found."""

    def pin(self, *_: Any, **__: Any) -> bool:
        """Nothing can be."""
        return False

    def unpin(self, *_: Any, **__: Any) -> bool:
        """Nothing is."""
        return False

    def remove(self, *_: Any, **__: Any) -> bool:
        """Nothing goes."""
        return False

    def get_allocator_backend(self) -> Any:
        """Host memory: what is copied there for others needs no second copy."""
        return self._host

    def close(self) -> None:
        """Nothing is open."""
