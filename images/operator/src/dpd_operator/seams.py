"""What the controller needs of the outside, as interfaces: the API server and Helm."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from dpd_operator.core.objects import Key, Ref, Tree
from dpd_operator.core.planning import Plan
from dpd_operator.core.release import Revision


class ApiError(Exception):
    """The API server refused or could not be reached; `status` is HTTP's, 0 when nothing answered."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class HelmError(Exception):
    """Helm failed; the message holds its complaint."""


class Kube(Protocol):
    """The API server."""

    def get(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any] | None:
        """Return what lies at a path, or None when nothing does. Raises ApiError."""

    def create(self, path: str, body: Tree) -> dict[str, Any]:
        """Create an object in the collection at a path. Raises ApiError."""

    def replace(self, path: str, body: Tree) -> dict[str, Any]:
        """Write an object over the one of the same resourceVersion. Raises ApiError, 409 when there is a newer one."""

    def merge(self, path: str, patch: Tree) -> dict[str, Any]:
        """Merge a patch into an object. Raises ApiError."""

    def apply(self, path: str, body: Tree) -> dict[str, Any]:
        """Own the given fields of an object, as server-side apply does. Raises ApiError."""

    def put_part(self, path: str, part: str, value: Any) -> dict[str, Any]:
        """Write one part (`/status`) of an object whole, whatever stood there. Raises ApiError."""

    def delete(self, path: str) -> None:
        """Delete an object, what hangs on it in the background; nothing happens when there is none. Raises ApiError."""

    def watch(self, path: str, query: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """Yield events of a collection until the API server ends the answer. Raises ApiError."""


class Installer(Protocol):
    """Helm."""

    def upgrade(self, plan: Plan) -> None:
        """Install or upgrade a release. Raises HelmError."""

    def uninstall(self, release: str) -> None:
        """Remove a release and its objects; nothing happens when there is none. Raises HelmError."""

    def render(self, plan: Plan) -> tuple[Tree, ...]:
        """Return the objects a plan stands for without touching the cluster. Raises HelmError."""


class Cluster(Protocol):
    """What the reconciler asks of the cluster, in its own words."""

    def revisions(self, release: str) -> tuple[Revision, ...]:
        """Return the stored revisions of a release, oldest first."""

    def forget(self, revision: Revision) -> None:
        """Delete the record of one revision."""

    def find(self, ref: Ref) -> dict[str, Any] | None:
        """Return an object as it is now, or None."""

    def remove(self, refs: Sequence[Ref], release: str) -> None:
        """Delete those of the objects that belong to the release and are still there."""

    def keep_size(self, ref: Ref) -> None:
        """Hold a Deployment at the size it has when nobody else says one; nothing happens when there is none."""

    def write_status(self, key: Key, status: Tree) -> None:
        """Write the status of an endpoint; nothing happens when the endpoint is gone."""

    def hold(self, body: Tree) -> None:
        """Let an endpoint not vanish before we let it go; nothing happens when it is gone or another one by now."""

    def let_go(self, body: Tree) -> None:
        """Let an endpoint vanish; nothing happens when it is gone or another one by now."""

    def tell(self, body: Tree, kind: str, reason: str, message: str) -> None:
        """Record an event about an endpoint; one that cannot be recorded is let go."""
