"""kopf's part: it watches InferenceEndpointConfigs, starts and ends the rest with itself, and hears signals.

Progress and finalizers are not left to kopf, whose bookkeeping lies in annotations and status keys that clients of
InferenceEndpointConfig refuse; an endpoint's whole state is its manifest, its release and what the cluster holds.
"""

import logging
from typing import Any

import kopf

from dpd_operator.core.objects import GROUP, PLURAL, VERSION, key_of
from dpd_operator.store import Store
from dpd_operator.workqueue import WorkQueue

_LOG = logging.getLogger(__name__)


def registry(store: Store, queue: WorkQueue) -> kopf.OperatorRegistry:
    """Return kopf's handlers: every change of an endpoint goes into the store and its key into the queue."""
    found = kopf.OperatorRegistry()

    async def heard(*, event: kopf.RawEvent, body: kopf.Body, **_: Any) -> None:
        plain = {key: body[key] for key in ("apiVersion", "kind", "metadata", "spec", "status") if key in body}
        key = key_of(plain)
        if event["type"] == "DELETED":
            store.drop_endpoint(key)
        else:
            store.put_endpoint(plain)
        queue.add(key)

    async def set_up(settings: kopf.OperatorSettings, **_: Any) -> None:
        settings.posting.enabled = False
        settings.scanning.disabled = True
        settings.batching.error_delays = [1, 2, 5, 10]

    async def log_in(**given: Any) -> kopf.ConnectionInfo | None:
        return kopf.login_with_service_account(**given) or kopf.login_with_kubeconfig(**given)

    kopf.on.login(registry=found)(log_in)
    kopf.on.startup(registry=found)(set_up)
    kopf.on.event(GROUP, VERSION, PLURAL, registry=found)(heard)
    return found
