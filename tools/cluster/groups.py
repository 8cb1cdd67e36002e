"""The control groups of pods: a kubelet makes them and leaves them behind, empty, when it ends."""

import contextlib
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")


def there(root: Path = _ROOT) -> list[str]:
    """Return the groups of pods that this machine has: one for each hierarchy, or one in all."""
    return sorted(str(each) for pattern in ("kubepods", "*/kubepods") for each in root.glob(pattern))


def remove(root: Path = _ROOT) -> None:
    """Remove them with all that are in them; one that still has processes stays."""
    for top in map(Path, there(root)):
        inner = [each for each in top.rglob("*") if each.is_dir()]
        for each in [*sorted(inner, reverse=True), top]:
            with contextlib.suppress(OSError):
                each.rmdir()
