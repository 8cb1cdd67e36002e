"""Which workers there are, by Kubernetes: the pods of each target's selector, known within moments of any change."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from dpd_router.discovery.api import session
from dpd_router.discovery.pods import Pod
from dpd_router.discovery.targets import Api, Roster, Target
from dpd_router.discovery.watch import PodWatch
from dpd_router.pool import Address


@dataclass(slots=True)
class KubernetesDiscovery:
    """Keeps the pool in step with pods. A pod that is not ready, or leaves, ends what it has and is given no more.

    Another uid, or another start of the engine's container, is another worker: nothing its predecessor held is left.
    """

    roster: Roster
    targets: tuple[Target, ...]
    api: Api
    namespace: str
    tell: Callable[[str], None]
    known: asyncio.Event = field(default_factory=asyncio.Event)
    watches: list[PodWatch] = field(default_factory=list)
    _listed: set[Target] = field(default_factory=set)

    async def run(self) -> None:
        """Follow for ever."""
        async with session() as client, asyncio.TaskGroup() as group:
            for target in self.targets:
                watch = PodWatch(self.api, self.namespace, target.selector, self._taker(target), self.tell)
                self.watches.append(watch)
                group.create_task(watch.run(client))

    def heard(self) -> float | None:
        """Return when every watch had been heard; None while one of them never was."""
        times = [each.heard for each in self.watches]
        return None if None in times or not times else min(time for time in times if time is not None)

    @property
    def relists(self) -> int:
        """Return how often pods were listed."""
        return sum(each.relists for each in self.watches)

    def _taker(self, target: Target) -> Callable[[Mapping[str, Pod]], None]:
        seen: dict[str, _Seen] = {}

        def take(pods: Mapping[str, Pod]) -> None:
            for uid in seen.keys() - pods.keys():
                del seen[uid]
            # A pod that is the same object has not changed, and a thousand do not for each one that does.
            seen.update(
                (uid, _seen(target, pod)) for uid, pod in pods.items() if uid not in seen or seen[uid].pod is not pod
            )
            self.roster.update(target, {each.address: each.serving for each in seen.values() if each.address.host})
            self._listed.add(target)
            if len(self._listed) == len(self.targets):
                self.known.set()

        return take


@dataclass(frozen=True, slots=True)
class _Seen:
    """A pod and the worker that it is; one without an address is none yet."""

    pod: Pod
    address: Address
    serving: bool


def _seen(target: Target, pod: Pod) -> _Seen:
    return _Seen(pod, target.at(pod.address, uid=pod.life, revision=pod.revision), pod.serving)
