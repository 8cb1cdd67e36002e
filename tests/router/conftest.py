import asyncio

import pytest
import uvloop

from router.runtime import Boto

BOTH_LOOPS = ("test_framing.py", "test_relay.py", "test_relay_leaving.py", "test_shutdown.py", "test_tls.py")


def pytest_asyncio_loop_factories(config, item):
    """Tests of sockets run on both kinds of loop, all others on asyncio's own."""
    loops = {"asyncio": asyncio.new_event_loop}
    return {**loops, "uvloop": uvloop.new_event_loop} if item.path.name in BOTH_LOOPS else loops


@pytest.fixture
def boto():
    made = Boto()
    yield made
    made.close()
