import asyncio

import pytest
import uvloop

from dpd_router.fastpath import FastPath
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
    """Count the ways that requests go, in every router of the test."""
    counted = Ways()
    take, stranded = FastPath.take, FastPath.stranded

    def taking(self, exchange):
        taken = take(self, exchange)
        counted.taken += taken
        counted.left += not taken
        return taken

    def handing(self, leg):
        counted.handed += 1
        stranded(self, leg)

    monkeypatch.setattr(FastPath, "take", taking)
    monkeypatch.setattr(FastPath, "stranded", handing)
    return counted
