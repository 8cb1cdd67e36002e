"""The workers: who is there, who is well, what each is doing, and how much of each decoder's buffer is spoken for.

This is the router's only state that changes. A worker is one address and one life of what runs there; when it fails and
comes back it is another worker as far as transfers go, because what it wrote before cannot be trusted: hence the
generation in its tag, which no other worker has had.
"""

import random
import time
from collections.abc import Callable, Collection
from itertools import count
from typing import Final

from dpd_router.drift import Drift
from dpd_router.ejection import Ejection
from dpd_router.ledger import Buffers, Ledger
from dpd_router.types import Outlook
from dpd_router.worker import Address, Role, Watcher, Worker

__all__ = ["Address", "Fits", "Pool", "Role", "Watcher", "Worker"]

Fits = Callable[[Worker], bool]

_ENGINE_FAILED: Final = 500


class Pool:
    """All workers. `nonce` sets this router's tags apart from those of its earlier lives.

    Requests go to the ready: those that answer, are not to rest, and have not failed too often. A suspect is better
    than nobody: where all are suspects, all are ready. `clock` gives seconds; `changed` is called when somebody's
    health is not known.
    """

    def __init__(
        self,
        nonce: str,
        buffers: Buffers | None = None,
        ejection: Ejection | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._nonce = nonce
        self.buffers = buffers or Buffers()
        self._ejection = ejection or Ejection()
        self._clock = clock
        self._turn = 0
        self._generations = count()
        self._workers: dict[Address, Worker] = {}
        self._ready: dict[Role, dict[Address, Worker]] = {role: {} for role in Role}
        self._watchers: dict[Role, list[Watcher]] = {role: [] for role in Role}
        self._partners: dict[Role, Fits] = dict.fromkeys(Role, _anyone)
        self._colocated = True
        self.outlook = _outlook(self._ready, colocated=True)
        self.changed: Callable[[], None] = lambda: None
        self.ejections = dict.fromkeys(Role, 0)

    def watch(self, role: Role, watcher: Watcher) -> None:
        """Tell `watcher` of every change among a role's workers, beginning with those that are there."""
        self._watchers[role].append(watcher)
        for worker in self.ready(role):
            watcher.joined(worker)

    def sync(self, role: Role, addresses: set[Address], resting: Collection[Address] = ()) -> None:
        """Make `addresses` the workers of a role: new ones start unproven, those gone take no more requests.

        Those in `resting` stay what they are, pages and all, and take no more requests either.
        """
        for address in [each for each in self._workers if each.role is role and each not in addresses]:
            self._workers.pop(address).up = False
        fresh = sorted(addresses - self._workers.keys(), key=lambda each: (each.host, each.port))
        for address in fresh:
            ledger, drift = Ledger(self.buffers), Drift(self.buffers.window)
            self._workers[address] = Worker(address, generation=next(self._generations), ledger=ledger, drift=drift)
        for address in addresses:
            self._workers[address].resting = address in resting
        self._colocated = all(each.role is Role.WORKER for each in self._workers)
        self._settle(role)
        if fresh:
            self.changed()

    def all(self) -> list[Worker]:
        """Return every worker, well or not."""
        return list(self._workers.values())

    def shown(self) -> list[Worker]:
        """Return one worker for each role and name: of two lives at one address, the one that is not about to end."""
        order = sorted(self._workers.values(), key=lambda each: not each.resting)
        return list({(each.address.role, each.name): each for each in order}.values())

    def is_ready(self, worker: Worker) -> bool:
        """Say whether a worker takes requests."""
        return self._ready[worker.address.role].get(worker.address) is worker

    def unwell(self, worker: Worker) -> bool:
        """Say whether a worker is there and does not answer; of one that is gone nobody knows."""
        return not worker.up and self._workers.get(worker.address) is worker

    def ready(self, role: Role) -> list[Worker]:
        """Return the workers of a role that take requests."""
        return list(self._ready[role].values())

    def besides(self, worker: Worker) -> list[Worker]:
        """Return who may stand in for a worker: those that take requests, and where there are none, suspects."""
        role = worker.address.role
        others = [each for each in self.ready(role) if each is not worker]
        return others or [each for each in self._there(role) if each is not worker]

    def readers(self, prefiller: Address) -> list[Worker]:
        """Return the decoders that take requests and can read the prefiller's KV, the least busy first."""
        able = [each for each in self.ready(Role.DECODE) if each.address.pairs_with(prefiller)]
        return sorted(able, key=lambda each: (each.in_flight, each.last_used, each.name))

    def reads(self, origin: Address | None, *, paired: bool) -> Fits:
        """Return which workers suit a request: those that read `origin`'s KV, or with `paired` have a prefiller.

        All of them suit when there are none such: they compute the prompt themselves.
        """
        fits = _pairs([origin]) if origin else self._partners[Role.PREFILL] if paired else _anyone
        return fits if any(map(fits, self._ready[Role.DECODE].values())) else _anyone

    def read_by(self, decoder: Worker | None) -> Fits:
        """Return which prefillers' KV can be read: by the decoder, or by any when it is not chosen yet."""
        return _pairs([decoder.address]) if decoder else self._partners[Role.DECODE]

    @property
    def colocated(self) -> bool:
        """Say whether there are no roles to tell apart."""
        return self._colocated

    def capacity(self) -> int | None:
        """Return the pages of the roomiest decoder that takes requests; None when unlimited, or there is none.

        Nobody has more than who has lost none, and that is nearly everybody: the first one is mostly the last.
        """
        whole, most = self.buffers.share(), None
        for each in self._ready[Role.DECODE].values():
            pages = each.ledger.capacity
            if pages == whole:
                return whole
            most = max(most or 0, pages or 0)
        return most

    def mark_up(self, worker: Worker) -> None:
        """Let a worker take requests; its address must still be there. Of one that does, every check says so again."""
        if worker.up:
            return
        worker.up = self._workers.get(worker.address) is worker
        self._settle(worker.address.role)

    def mark_down(self, worker: Worker) -> None:
        """Give a worker no more requests until it is well again, and then under a new tag."""
        if worker.up:
            worker.up = False
            worker.generation = next(self._generations)
            self._settle(worker.address.role)
            self.changed()

    def distrust(self, worker: Worker) -> None:
        """Change a prefiller's tag: what it wrote under the old one may be half written."""
        worker.generation = next(self._generations)

    def retire(self, tag: str) -> None:
        """Give no more transfers this tag: what is under it is not what it should be."""
        for worker in self._workers.values():
            if worker.address.role is Role.PREFILL and self.tag(worker) == tag:
                self.distrust(worker)

    def failed(self, worker: Worker, request: bytes | None = None) -> None:
        """Hold a failure against a worker: `request` is the body it failed on, None when it could not be asked."""
        now, suspicion, role = self._clock(), worker.suspicion, worker.address.role
        worker.doubted = True
        self.changed()
        enough = suspicion.failure(None if request is None else hash(request)) >= self._ejection.failures
        if suspicion.ejected and not suspicion.trial:
            return  # it ends what it had, or serves because nobody else does: its time is running already
        if not (enough or suspicion.trial):
            return
        there = self._there(role)
        ejected = sum(each.suspicion.ejected for each in there if each is not worker)
        if self._ejection.allows(ejected, len(there)):
            suspicion.eject(now, self._ejection.seconds(suspicion.times + 1, random.random()))  # noqa: S311 - no secret
            self.ejections[role] += 1
            self._settle(role)

    def answered(self, worker: Worker, status: int, request: bytes) -> None:
        """Judge a worker by its whole answer: a client's own mistake, a 4xx, is answered well."""
        if status >= _ENGINE_FAILED:
            self.failed(worker, request)
        else:
            worker.suspicion.success(self._clock(), self._ejection.longest)

    def review(self) -> None:
        """Let those in again whose time is over; to be called often."""
        for role in {each.address.role for each in self._workers.values() if each.suspicion.ejected}:
            self._settle(role)

    def tag(self, worker: Worker) -> str:
        """Return the tag of a prefiller's pages; it holds no `@`, which would break the engines' keys."""
        return f"{worker.name}/{self._nonce}.{worker.generation}".replace("@", "_")

    def flight(self, worker: Worker, tokens: int = 0) -> "_Flight":
        """Count a request in for as long as the block runs, and the tokens it has to compute for it."""
        return _Flight(self, worker, tokens)

    def took_off(self, worker: Worker, tokens: int) -> bool:
        """Count a request in; say whether it is the trial of a worker that was ejected."""
        self._turn += 1
        worker.last_used = self._turn
        worker.in_flight += 1
        worker.tokens += tokens
        trial = worker.suspicion.ejected and worker.suspicion.begin(self._clock())
        if trial:
            self._settle(worker.address.role)
        self._touch(worker)
        return trial

    def landed(self, worker: Worker, tokens: int, *, trial: bool) -> None:
        """Count a request out."""
        worker.in_flight -= 1
        worker.tokens -= tokens
        if trial:
            worker.suspicion.trial = False
            self._settle(worker.address.role)
        self._touch(worker)

    def _touch(self, worker: Worker) -> None:
        for watcher in self._watchers[worker.address.role]:
            watcher.touched(worker)

    def _there(self, role: Role) -> list[Worker]:
        """Return the workers of a role that are well as far as anybody has asked them."""
        return [each for each in self._workers.values() if each.address.role is role and each.up and not each.resting]

    def _settle(self, role: Role) -> None:
        """Make those the ready ones of a role who are to be, and tell who watches."""
        there, now, ready = self._there(role), self._clock(), self._ready[role]
        wanted = {each.address: each for each in [e for e in there if e.suspicion.admits(now)] or there}
        left = [ready.pop(address) for address in ready.keys() - wanted.keys()]
        joined = [wanted[address] for address in wanted if address not in ready]
        ready.update((each.address, each) for each in joined)
        self._partners[role] = _pairs(list(ready))
        self.outlook = _outlook(self._ready, colocated=self._colocated)
        for watcher in self._watchers[role]:
            for each in left:
                watcher.left(each)
            for each in joined:
                watcher.joined(each)


class _Flight:
    """One request at a worker, for the time of a block."""

    __slots__ = ("_pool", "_tokens", "_trial", "_worker")

    def __init__(self, pool: Pool, worker: Worker, tokens: int) -> None:
        self._pool = pool
        self._worker = worker
        self._tokens = tokens
        self._trial = False

    def __enter__(self) -> Worker:
        self._trial = self._pool.took_off(self._worker, self._tokens)
        return self._worker

    def __exit__(self, *_: object) -> None:
        self._pool.landed(self._worker, self._tokens, trial=self._trial)


def _outlook(ready: dict[Role, dict[Address, Worker]], *, colocated: bool) -> Outlook:
    """Return what `route` needs to know of every prompt; more is asked for those that may be disaggregated."""
    answering = ready[Role.WORKER if colocated else Role.DECODE]
    return Outlook(colocated, prefillers=len(ready[Role.PREFILL]), decoders=len(answering))


def _anyone(_worker: Worker) -> bool:
    return True


def _pairs(others: list[Address]) -> Fits:
    """Return who pairs with one of the others; everybody, when there are none or their revision is unknown."""
    revisions = {each.revision: each for each in others}
    if not revisions or None in revisions:
        return _anyone
    return lambda worker: any(worker.address.pairs_with(each) for each in revisions.values())
