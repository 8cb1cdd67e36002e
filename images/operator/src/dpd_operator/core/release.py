"""What Helm remembers of a release, read from where it keeps it: one Secret for each revision."""

import base64
import binascii
import gzip
import json
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import yaml

from dpd_operator.core.objects import Ref, Tree, ref_of

DIGEST_LABEL = "dpd-digest"
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DEPLOYED = "deployed"
_HOOK = "helm.sh/hook"


@dataclass(frozen=True, slots=True)
class Revision:
    """One revision: its number, Helm's word for where it stands, our digest, the objects, and its Secret's name."""

    number: int
    state: str
    digest: str
    objects: tuple[Tree, ...]
    record: str

    @property
    def is_deployed(self) -> bool:
        """Whether Helm finished it and nothing newer took its place."""
        return self.state == _DEPLOYED

    @property
    def is_pending(self) -> bool:
        """Whether whoever made it never came to an end: nobody may go on from here but over its record."""
        return self.state.startswith("pending-")

    @property
    def refs(self) -> frozenset[Ref]:
        """The objects by identity."""
        return frozenset(ref_of(each) for each in self.objects)


def revisions(secrets: Iterable[Tree]) -> tuple[Revision, ...]:
    """Read a release's Secrets, oldest revision first. One that cannot be read counts as pending without objects."""
    return tuple(sorted((_revision(each) for each in secrets), key=lambda each: each.number))


def _revision(secret: Tree) -> Revision:
    labels = secret["metadata"].get("labels") or {}
    return Revision(
        number=int(labels.get("version", "0")),
        state=labels.get("status", "pending-unknown"),
        digest=labels.get(DIGEST_LABEL, ""),
        objects=_objects(secret),
        record=secret["metadata"]["name"],
    )


def _objects(secret: Tree) -> tuple[Tree, ...]:
    try:
        packed = base64.b64decode(base64.b64decode(secret["data"]["release"]))
        manifest = json.loads(gzip.decompress(packed))["manifest"]
    except (KeyError, ValueError, OSError, binascii.Error, zlib.error):
        return ()
    return parse(manifest)


def parse(manifest: str) -> tuple[Tree, ...]:
    """Return the objects of a manifest, without those that only hooks make."""
    found = [each for each in yaml.load_all(manifest, Loader=_LOADER) if each]
    return tuple(each for each in found if _HOOK not in (each["metadata"].get("annotations") or {}))
