import socket

import pytest

from dpd_local.ports import FIRST, LAST, FreePorts


def test_no_port_is_found_twice_and_none_where_outgoing_connections_have_theirs() -> None:
    find = FreePorts()
    found = [port for count in (1, 8, 8, 200) for port in find(count)]
    assert len(set(found)) == 217
    assert all(FIRST <= port <= LAST for port in found)


def test_a_port_that_somebody_listens_on_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    (taken, free) = FreePorts()(2)
    picks = iter([taken, free])
    monkeypatch.setattr("random.SystemRandom.randint", lambda *_: next(picks))
    with socket.create_server(("127.0.0.1", taken)):
        assert FreePorts()(1) == [free]
