"""Following pods: how much is looked at for what comes, counted and not timed."""

import asyncio
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import msgspec

from bench.cluster import Cluster, address, pod, serving
from bench.discovery import Cost, _certificate, record
from dpd_router.discovery import Api, Roster, Target
from dpd_router.discovery.api import session
from dpd_router.discovery.kubernetes import KubernetesDiscovery
from dpd_router.discovery.pods import Pod
from dpd_router.discovery.watch import PodWatch
from dpd_router.pool import Pool, Role
from router import rig
from support.ports import free_ports

EVENTS = 30
NOWHERE = Api("", Path(), Path())
until = partial(rig.until, seconds=30)


async def test_changes_that_come_at_once_are_told_together_and_none_is_lost() -> None:
    cluster, told, ports = Cluster(), list[set[str]](), free_ports(2)

    def changed(pods: Mapping[str, Pod]) -> None:
        told.append({each.address for each in pods.values()})

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        certificate = _certificate(folder)
        (folder / "token").write_text("token")
        api = Api(f"https://127.0.0.1:{ports[0]}", folder / "token", folder / "ca.crt")
        watch = PodWatch(api, "default", "app=e", changed, lambda _: None)
        async with serving(cluster, (ports[0], ports[1]), ["127.0.0.1"], certificate), session() as client:
            task = asyncio.create_task(watch.run(client))
            await until(lambda: cluster.watchers)
            for number in range(EVENTS):
                cluster.tell("ADDED", pod(f"p{number}", address(number), ready=True))
            await until(lambda: len(told[-1]) == EVENTS)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    assert told[-1] == {address(number) for number in range(EVENTS)}
    assert len(told) < EVENTS / 2, "the list, and pieces of many events each"


def test_what_was_measured_becomes_a_table() -> None:
    made = record({10: [Cost(100.0, 0.01, 40.0, 250.0, 900.0, 0)], 100: [Cost(120.0, 0.02, 45.0, 260.0, 950.0, 1)]})
    assert made.tables[0].rows[0] == ["pods", "10", "100"]
    assert made.tables[0].rows[-1] == ["failed, of 3,000 each round", "0", "1"]


def test_of_many_pods_only_those_that_changed_are_read_again() -> None:
    pool, lines, reads = Pool("n"), list[str](), list[str]()

    class Read(Pod):
        @property
        def serving(self) -> bool:
            reads.append(self.metadata.name)
            return super().serving

    def read(number: int, *, ready: bool) -> Pod:
        return msgspec.convert(pod(f"p{number}", address(number), ready=ready), type=Read)

    target = Target(Role.WORKER, "", 8081, selector="app=e")
    discovery = KubernetesDiscovery(Roster(pool, lines.append), (target,), NOWHERE, "default", lines.append)
    take, pods = discovery._taker(target), {f"p{number}": read(number, ready=True) for number in range(EVENTS)}
    take(pods)
    assert len(reads) == EVENTS
    pods["p3"] = read(3, ready=False)
    del pods["p4"]
    take(pods)
    assert reads[EVENTS:] == ["p3"]
    assert len(pool.all()) == EVENTS - 1
    assert [each.name for each in pool.all() if each.resting] == [f"{address(3)}:8081"]
    assert [line.partition(" ")[2].partition(":")[0] for line in lines[EVENTS:]] == ["gone", "resting"]
