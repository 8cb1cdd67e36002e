"""Of several replicas one acts: whoever holds the Lease. One that cannot renew it ends before another begins."""

import http
import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from dpd_operator.core import lease
from dpd_operator.core.objects import Tree
from dpd_operator.seams import ApiError, Kube

_LOG = logging.getLogger(__name__)


class Election:
    """One replica's part in it."""

    def __init__(self, kube: Kube, namespace: str, name: str, identity: str) -> None:
        """Take the Lease's place and our own name, which no other replica has."""
        self._kube = kube
        self._leases = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._name = name
        self._identity = identity
        self._stopped = threading.Event()
        self._seen: lease.Sighting | None = None
        self._renewed = float("-inf")

    def wait(self) -> bool:
        """Wait until we lead; False when `stop` was called before."""
        while not self._stopped.is_set():
            try:
                if self._try():
                    _LOG.info("%s leads", self._identity)
                    return True
            except ApiError as error:
                _LOG.warning("the lease cannot be read or written: %s", error)
            self._stopped.wait(lease.RETRY_SECONDS)
        return False

    def keep(self, lost: Callable[[], None]) -> None:
        """Renew the Lease from a thread of its own; call `lost` when that has not worked for too long."""
        threading.Thread(target=self._renew, args=(lost,), name="lease", daemon=True).start()

    def leads(self) -> bool:
        """Whether nobody else can have taken the Lease yet, even if this process slept for a while."""
        return time.monotonic() - self._renewed < lease.GIVE_UP_SECONDS

    def stop(self) -> None:
        """Neither wait nor renew any more."""
        self._stopped.set()

    def release(self) -> None:
        """Give the Lease back, if it is ours; only after everything we do has ended."""
        self.stop()
        try:
            found = self._kube.get(f"{self._leases}/{self._name}")
            if found and (found.get("spec") or {}).get("holderIdentity") == self._identity:
                self._kube.replace(f"{self._leases}/{self._name}", lease.released(found))
        except ApiError as error:
            _LOG.warning("the lease was not given back and runs out by itself: %s", error)

    def _renew(self, lost: Callable[[], None]) -> None:
        while not self._stopped.wait(lease.RETRY_SECONDS):
            try:
                is_ours = self._try()
            except ApiError as error:
                _LOG.warning("the lease was not renewed: %s", error)
                is_ours = True
            if not is_ours or not self.leads():
                _LOG.error("the lease is lost; whoever has it acts from here")
                lost()
                return

    def _try(self) -> bool:
        """Write our name into the Lease if we may. Raises ApiError when the API server does not answer."""
        asked = time.monotonic()
        found = self._kube.get(f"{self._leases}/{self._name}")
        try:
            if found is None:
                self._kube.create(self._leases, self._mine({"metadata": {"name": self._name}}))
                self._renewed = asked
                return True
            self._seen = lease.sighted(found, self._seen, asked)
            if not lease.may_take(found, self._identity, self._seen, asked):
                return False
            self._kube.replace(f"{self._leases}/{self._name}", self._mine(found))
        except ApiError as error:
            if error.status == http.HTTPStatus.CONFLICT:
                return False
            raise
        self._renewed = asked
        return True

    def _mine(self, found: Tree) -> dict[str, object]:
        kinds = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
        return {**lease.taken(found, self._identity, datetime.now(UTC)), **kinds}
