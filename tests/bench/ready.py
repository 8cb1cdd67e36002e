"""Before the first step: what the first benchmark of a clone would otherwise stop to install and compile.

Usage: python -m bench.ready. `make bench` and `make bench-quick` see to it; what is there stays.
"""

import haproxy
import jemalloc
import nginx
from bench.cases import RUST
from bench.measure import build
from bench.peers import installed_program
from compiled import compiled


def main() -> int:
    """Entry point. Raises what each of them raises where this machine lacks something."""
    build()
    compiled()
    for find in (nginx.find, haproxy.find, jemalloc.find):
        find()
    for name in RUST:
        installed_program(name)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
