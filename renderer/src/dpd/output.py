"""Writing files whole or not at all: into temporary files of the same folder, then renamed over the old ones.

A link is followed, so that it stays a link. What is no regular file (a device, a pipe) is written to in place: renaming
over it would put a file where the device was.
"""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

_MODE = 0o666


def write_all(texts: Mapping[Path, str]) -> None:
    """Write every file, creating no folder. Raises OSError, in which case no regular file has changed its content."""
    resolved = {target.resolve(): text for target, text in texts.items()}
    in_place = {target: text for target, text in resolved.items() if _is_special(target)}
    drafts: dict[Path, Path] = {}
    try:
        for target, text in resolved.items():
            if target not in in_place:
                drafts[target] = _draft(target, text)
        # All are written before one is waited for: the first one that reaches the disk mostly takes the others along.
        for draft in drafts.values():
            _keep(draft)
        for target, text in in_place.items():
            target.write_text(text, encoding="utf-8")
        for target, draft in drafts.items():
            draft.replace(target)
    finally:
        for draft in drafts.values():
            draft.unlink(missing_ok=True)


def _is_special(target: Path) -> bool:
    return target.exists() and not target.is_file() and not target.is_dir()


def _draft(target: Path, text: str) -> Path:
    if target.is_dir():
        raise IsADirectoryError(21, "Is a directory", str(target))
    handle, name = tempfile.mkstemp(prefix=f".{target.name[:100]}.", suffix=".tmp", dir=target.parent)
    draft = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        draft.chmod(_MODE & ~_umask())
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    return draft


def _keep(draft: Path) -> None:
    """Wait until a file is on the disk."""
    with draft.open("rb") as file:
        os.fsync(file.fileno())


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
