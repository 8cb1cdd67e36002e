import asyncio
import socket

from dpd_router.discovery import Roster, Target
from dpd_router.discovery.dns import DnsDiscovery
from dpd_router.pool import Pool, Role

ADDRESSES = {"p": ["10.0.0.1"], "d": ["10.0.1.1", "10.0.1.2"]}


def discovery(monkeypatch, names, *targets):
    async def getaddrinfo(host, port, **_):
        if host not in names:
            raise socket.gaierror(-2, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in names[host]]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    pool = Pool("n")
    lines: list[str] = []
    return pool, DnsDiscovery(Roster(pool, lines.append), targets, 1), lines


DECODE = Target(Role.DECODE, "d", 8081, (7300,), (7400,))


def names(pool):
    return sorted(each.name for each in pool.all())


async def test_every_address_of_a_host_is_a_worker(monkeypatch):
    pool, found, lines = discovery(monkeypatch, ADDRESSES, Target(Role.PREFILL, "p", 8081), DECODE)
    await found.round()
    assert names(pool) == ["10.0.0.1:8081", "10.0.1.1:8081", "10.0.1.2:8081"]
    assert {each.receiver.init_ports for each in pool.all() if each.address.role is Role.DECODE} == {(7300,)}
    assert "worker found: role=decode address=10.0.1.1:8081" in lines


async def test_addresses_come_and_go(monkeypatch):
    table = {"d": ["10.0.1.1", "10.0.1.2"]}
    pool, found, _ = discovery(monkeypatch, table, DECODE)
    await found.round()
    table["d"] = ["10.0.1.2", "10.0.1.3"]
    await found.round()
    assert names(pool) == ["10.0.1.2:8081", "10.0.1.3:8081"]


async def test_a_name_that_does_not_resolve_for_a_while_changes_nothing(monkeypatch):
    table = dict(ADDRESSES)
    pool, found, _ = discovery(monkeypatch, table, DECODE)
    await found.round()
    workers = pool.all()
    del table["d"]
    await found.round()
    assert pool.all() == workers


async def test_a_name_that_does_not_resolve_at_all_yields_no_worker(monkeypatch):
    pool, found, _ = discovery(monkeypatch, {}, DECODE)
    await found.round()
    assert pool.all() == []


async def test_several_workers_may_share_a_host(monkeypatch):
    other = Target(Role.DECODE, "d", 8082, (7310,), (7410,))
    pool, found, _ = discovery(monkeypatch, {"d": ["10.0.1.1"]}, DECODE, other)
    await found.round()
    assert {(each.name, each.receiver.init_ports) for each in pool.all()} == {
        ("10.0.1.1:8081", (7300,)),
        ("10.0.1.1:8082", (7310,)),
    }
