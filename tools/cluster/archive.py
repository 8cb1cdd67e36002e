"""Images without an image builder: one layer of a few files, as an OCI archive that container runtimes import."""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

_LAYER = "application/vnd.oci.image.layer.v1.tar"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"


def write(target: Path, name: str, files: Mapping[str, Path], entrypoint: Sequence[str]) -> None:
    """Write an image that holds programs at the given paths (without the leading slash)."""
    layer = _tar({path: source.read_bytes() for path, source in files.items()}, mode=0o755)
    blobs: dict[str, bytes] = {}

    def put(data: bytes, kind: str) -> dict[str, object]:
        digest = hashlib.sha256(data).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = data
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(data)}

    content = put(layer, _LAYER)
    rootfs = {"type": "layers", "diff_ids": [content["digest"]]}
    platform = {"architecture": "amd64", "os": "linux"}
    config = put(_json({**platform, "rootfs": rootfs, "config": {"Entrypoint": list(entrypoint)}}), _CONFIG)
    manifest = put(
        _json({"schemaVersion": 2, "mediaType": _MANIFEST, "config": config, "layers": [content]}), _MANIFEST
    )
    named = {**manifest, "annotations": {"io.containerd.image.name": name}}
    index = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": [named]}
    files_of = {"oci-layout": _json({"imageLayoutVersion": "1.0.0"}), "index.json": _json(index), **blobs}
    target.write_bytes(_tar(files_of, mode=0o644))


def _tar(files: Mapping[str, bytes], mode: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, data in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(data), mode
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode()
