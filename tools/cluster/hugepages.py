"""Huge pages on the node's status without taking memory from the machine: a kubelet that is told there are some.

It counts those of /sys/kernel/mm/hugepages, and sees another folder there, in a mount namespace of its own.
"""

import subprocess
from pathlib import Path

# Of 2 MiB each: as many as two pods of eight GPUs ask for, and some. The kubelet takes them off the node's memory.
PAGES = 5632
_LOOK = 'mount --make-private /sys && mount --bind "$0" /sys/kernel/mm/hugepages && exec "$@"'


def command(folder: Path, root: Path) -> list[str]:
    """Return the words to put before the kubelet's own; `root` is where it mounts volumes, which others must see."""
    pool = folder / "hugepages" / "hugepages-2048kB"
    pool.mkdir(parents=True, exist_ok=True)
    for name in ("nr_hugepages", "free_hugepages"):
        (pool / name).write_text(f"{PAGES}\n")
    root.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "--bind", root, root], check=True)
    subprocess.run(["mount", "--make-shared", root], check=True)
    return ["unshare", "--mount", "--propagation", "unchanged", "sh", "-c", _LOOK, str(pool.parent)]
