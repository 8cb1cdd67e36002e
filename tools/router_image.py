"""What the router's image sets in its environment, read from its Dockerfile, for who builds or runs it beside it."""

import re
import shlex
from pathlib import Path

DOCKERFILE = Path(__file__).resolve().parent.parent / "images" / "router" / "Dockerfile"


def settings(first: str) -> dict[str, str]:
    """Return the variables of the one line of ENV whose first variable is `first`."""
    (line,) = re.findall(rf"^ENV ({re.escape(first)}=.*)$", DOCKERFILE.read_text(), re.MULTILINE)
    return dict(word.split("=", 1) for word in shlex.split(line))
