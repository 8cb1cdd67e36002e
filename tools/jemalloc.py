"""The allocator of the router's image, for who looks at the router as it runs there: Debian's, unpacked under .cache.

Nothing is installed, and how it is set is read from the image's Dockerfile.
"""

import platform
from pathlib import Path

from debian import alone, unpack
from router_image import settings

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".cache" / "jemalloc"


def find() -> Path:
    """The library on this machine, else below .cache, downloaded if need be. Raises debian.UnavailableError."""
    place = Path("usr/lib") / f"{platform.machine()}-linux-gnu" / "libjemalloc.so.2"
    if (Path("/") / place).exists():
        return Path("/") / place
    library = FOLDER / "root" / place
    with alone(FOLDER):
        if not library.exists():
            unpack(FOLDER, ["libjemalloc2"])
    return library


def environment() -> dict[str, str]:
    """What the image sets for its allocator, with the library where it lies here. Raises debian.UnavailableError."""
    return {**settings("LD_PRELOAD"), "LD_PRELOAD": str(find())}
