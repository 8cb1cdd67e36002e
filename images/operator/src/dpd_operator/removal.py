"""The end of an endpoint: all that its release ever put into the cluster goes, in any namespace, then the endpoint."""

import logging

from dpd_operator.core.objects import FINALIZER, Key, Ref, Tree
from dpd_operator.core.planning import release_name
from dpd_operator.core.status import Stage
from dpd_operator.reporter import Reporter, Step
from dpd_operator.seams import ApiError, Cluster, HelmError, Installer
from dpd_operator.store import Store

_LOG = logging.getLogger(__name__)


class Removal:
    """Removes endpoints that somebody deleted."""

    def __init__(self, store: Store, cluster: Cluster, helm: Installer, reporter: Reporter) -> None:
        """Take what it works with."""
        self._store = store
        self._cluster = cluster
        self._helm = helm
        self._reporter = reporter

    def remove(self, key: Key, body: Tree) -> None:
        """Remove all that belongs to an endpoint and let it go. Raises HelmError or ApiError to be called again."""
        if FINALIZER not in (body["metadata"].get("finalizers") or []):
            return
        self._reporter.report(body, Step(Stage.REMOVING), ())
        try:
            self._clear(key)
        except (HelmError, ApiError) as error:
            self._reporter.report(body, Step(Stage.STUCK, words=(str(error),)), ())
            raise
        self._cluster.let_go(body)

    def _clear(self, key: Key) -> None:
        """Uninstall, then remove what Helm's newest record did not name: leftovers of revisions that never ended."""
        release = release_name(key)
        stored = self._cluster.revisions(release)
        refs = frozenset[Ref]().union(*(each.refs for each in stored), self._store.objects(key))
        if stored:
            _LOG.info("%s: uninstalling release %s", key, release)
            self._helm.uninstall(release)
        self._cluster.remove(sorted(refs), release)
