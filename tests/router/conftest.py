import asyncio

import pytest
import uvloop

from dpd_router import front
from dpd_router.path import Path
from dpd_router.rescue import unreached
from dpd_router.wire.downstream import Downstream
from router.conversing import Ways
from router.runtime import Boto

BOTH_LOOPS = (
    "test_fast_path.py",
    "test_fast_path_ends.py",
    "test_framing.py",
    "test_relay.py",
    "test_relay_leaving.py",
    "test_shutdown.py",
    "test_tls.py",
)


def pytest_asyncio_loop_factories(config, item):
    """Tests of sockets run on both kinds of loop, all others on asyncio's own."""
    loops = {"asyncio": asyncio.new_event_loop}
    return {**loops, "uvloop": uvloop.new_event_loop} if item.path.name in BOTH_LOOPS else loops


@pytest.fixture
def boto():
    made = Boto()
    yield made
    made.close()


@pytest.fixture
def ways(monkeypatch):
    """Count the ways that requests go, in every router of the test.

    By what stands around the fast path, for what is compiled cannot be patched.
    """
    counted = Ways()
    adopt = Path.adopt

    def counting(begin):
        def begun(exchange):
            answering = begin(exchange)
            counted.taken += answering is None
            counted.left += answering is not None
            return answering

        return begun if hasattr(begin, "func") else begin  # with a fast path it is a partial of that

    def adopting(self, ask, exchange, trace, worker, going):
        counted.handed += getattr(going, "func", None) is not unreached
        return adopt(self, ask, exchange, trace, worker, going)

    monkeypatch.setattr(front, "Downstream", lambda begin, *rest: Downstream(counting(begin), *rest))
    monkeypatch.setattr(Path, "adopt", adopting)
    return counted
