"""The outside of the path, scripted: engines that answer as told, a client that leaves when told, notices on demand."""

import itertools
import json
from dataclasses import dataclass, field

from dpd_router.ask import Ask
from dpd_router.background import Background
from dpd_router.connectors import connector_named
from dpd_router.counting import Estimates
from dpd_router.delivery import Delivery
from dpd_router.drains import Drains
from dpd_router.fallbacks import Fallbacks
from dpd_router.handover import Handover
from dpd_router.ledger import Buffers
from dpd_router.path import Path
from dpd_router.pool import Address, Pool, Role
from dpd_router.record import Record
from dpd_router.types import End, Outcome, Policy, Reply
from router.team import chooser

OK = Reply(200, [(b"content-type", b"application/json")], b'{"choices":[]}')
LONG = "x" * 20000
SHORT_ASK = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 5}
LONG_ASK = {"messages": [{"role": "user", "content": LONG}], "max_tokens": 5, "stream": True}
# The events of a request that went through a prefiller, in their order.
DISAGGREGATED = [
    "accepted",
    "decided",
    "prefill_sent",
    "prefill_ended",
    "transferred",
    "decode_sent",
    "first_byte",
    "ended",
]


@dataclass
class Client:
    """A client that is told what it gets."""

    gone: bool = False
    status: int = 0
    bytes_out: int = 0
    got: list = field(default_factory=list)

    decision: str = ""

    def explain(self, decision):
        self.asks = decision

    def head(self, status):
        """The head of an answer is written: what it says of the decision is asked now, and only now."""
        self.status = status
        self.decision = self.asks()

    def refuse(self, error):
        if not self.status:
            self.head(error.status)
        self.got.append(error)


@dataclass
class Legs:
    """Engines: `plan` gives, per worker name, what its next legs do: a Reply, an exception, or a coroutine function."""

    plan: dict = field(default_factory=dict)
    log: list = field(default_factory=list)

    async def collect(self, worker, call, request_id):
        return await self._next("collect", worker, call, request_id)

    async def relay(self, worker, call, client, *, hold, first):
        body = json.loads(call.body)
        self.log.append(("relay", worker.name, body, hold))
        step = self._step(worker)
        if callable(step):
            return await step(client, first)
        if isinstance(step, Exception):
            raise step
        client.head(step.status)
        first(step.status)
        return Outcome(End.COMPLETE, step.status)

    async def _next(self, kind, worker, call, request_id):
        self.log.append((kind, worker.name, json.loads(call.body), request_id))
        step = self._step(worker)
        if callable(step):
            step = await step()
        if isinstance(step, Exception):
            raise step
        return step

    def _step(self, worker):
        steps = self.plan.get(worker.name)
        return steps.pop(0) if steps else OK

    def sent_to(self, name):
        return [entry for entry in self.log if entry[1] == name]


@dataclass
class Notices:
    come: bool = True
    open: set = field(default_factory=set)

    def expect(self, transfer_id):
        self.open.add(transfer_id)

    async def arrived(self, transfer_id, count, seconds):
        assert transfer_id in self.open
        assert count == 1
        return self.come

    def forget(self, transfer_id):
        self.open.discard(transfer_id)


@dataclass
class World:
    """A path with everything around it."""

    path: Path
    pool: Pool
    legs: Legs
    notices: Notices
    background: Background
    lines: list
    records: list

    async def ask(self, body, client=None, path="/v1/chat/completions"):
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.client = client or Client()
        self.trace = await self.path.serve(Ask("POST", path, "", [], raw, "r1"), self.client)
        return self.client

    @property
    def steps(self):
        return [event.step.value for event in self.trace.events]

    @property
    def record(self):
        return self.records[-1]

    def worker(self, name):
        return next(each for each in self.pool.all() if each.name == name)

    def quiet(self):
        """Nothing under way, nothing reserved, nothing waited for."""
        flying = sum(each.in_flight for each in self.pool.all())
        pages = sum(each.ledger.used for each in self.pool.all())
        return (flying, pages, len(self.background), len(self.notices.open)) == (0, 0, 0, 0)


def world(
    prefillers=1,
    decoders=1,
    workers=0,
    capacity=None,
    plan=None,
    connector="lmcache",
    revisions=None,
    counts=None,
    doubts=None,
    strategy="roundrobin",
    fallbacks=16,
    queue=0,
    **policy,
) -> World:
    pool = Pool("nonce", Buffers(capacity))
    for role, count in ((Role.PREFILL, prefillers), (Role.DECODE, decoders), (Role.WORKER, workers)):
        ports = ((7300,), (7400,)) if role is Role.DECODE else ((), ())
        names = [f"{role.value[0]}{i}" for i in range(count)]
        pool.sync(role, {Address(role, name, 8081, ports[0], ports[1], (revisions or {}).get(name)) for name in names})
    for worker in pool.all():
        pool.mark_up(worker)
    settings = Policy(4096, "/v1/chat/completions", **{"room_seconds": 0.05, **policy})
    legs, notices, background = Legs(plan or {}), Notices(), Background()
    lines: list[str] = []
    records: list[Record] = []
    ids, ticks = itertools.count(1), itertools.count()
    drains = Drains(pool, legs, background, pause=0)
    robin = chooser(pool, settings, strategy, "leastload")
    handover = Handover(
        settings,
        pool,
        connector_named(connector),
        robin,
        legs,
        notices,
        background,
        drains,
        lambda: f"t{next(ids)}",
    )
    path = Path(
        settings,
        pool,
        counts or Estimates(),
        doubts or Estimates(),
        robin,
        handover,
        Delivery(settings, pool, legs, drains, Fallbacks(fallbacks, queue=queue)),
        lambda: float(next(ticks)),
        lambda line, _: lines.append(line),
        records.append,
    )
    return World(path, pool, legs, notices, background, lines, records)


async def settle(background: Background) -> None:
    """Let the background work end."""
    assert await background.finish(5) == 0
