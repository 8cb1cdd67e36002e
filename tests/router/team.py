"""Workers as a strategy sees them, and a team of them that tells a strategy what a pool would."""

from dataclasses import dataclass
from typing import Any

from dpd_router.chooser import Chooser
from dpd_router.pool import Role, Worker
from dpd_router.strategies import KVAWARE, Strategy, anyone, strategy_named
from dpd_router.strategies.kvaware import KvAware
from dpd_router.types import Prompt


@dataclass(eq=False)
class Seen:
    name: str
    in_flight: int = 0
    last_used: int = 0

    def __repr__(self):
        return self.name


def made(name) -> Any:
    """A strategy of a name."""
    return KvAware(10**6) if name == KVAWARE else strategy_named(name)


class Team:
    """A strategy and its workers."""

    def __init__(self, strategy, *workers):
        self.strategy: Any = made(strategy) if isinstance(strategy, str) else strategy
        self.workers = {}
        self.turn = 0
        for worker in workers:
            self.join(worker)

    def join(self, worker):
        made = Seen(worker) if isinstance(worker, str) else worker
        self.workers[made.name] = made
        self.strategy.joined(made)

    def leave(self, name):
        self.strategy.left(self.workers.pop(name))

    def load(self, **loads):
        for name, count in loads.items():
            self.workers[name].in_flight = count
            self.strategy.touched(self.workers[name])

    def begin(self, name):
        """Give a worker a request, as a pool counts it."""
        worker = self.workers[name]
        self.turn += 1
        worker.last_used = self.turn
        worker.in_flight += 1
        self.strategy.touched(worker)

    def end(self, name):
        self.workers[name].in_flight -= 1
        self.strategy.touched(self.workers[name])

    def rank(self, prompt=None, most=99, fits=anyone):
        return [each.name for each in self.strategy.rank(prompt or Prompt(0, ""), most, fits)]

    def first(self, prompt=None):
        return self.rank(prompt, 1)[0]


def text(lead):
    return Prompt(len(lead) // 4, lead[:4096])


def session(name):
    return Prompt(0, "", session=name)


def names(count):
    return [f"10.0.{number // 256}.{number % 256}:8081" for number in range(count)]


def chooser(pool, policy, name, decode_name="leastload"):
    """A chooser whose strategies follow a pool."""
    names = {Role.PREFILL: name, Role.WORKER: name, Role.DECODE: decode_name}
    strategies: dict[Role, Strategy[Worker]] = {role: made(each) for role, each in names.items()}
    for role, strategy in strategies.items():
        pool.watch(role, strategy)
    return Chooser(pool, policy, name, strategies)
