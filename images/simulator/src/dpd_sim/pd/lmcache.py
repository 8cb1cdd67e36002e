"""LMCacheConnectorV1: finds, loads and saves chunks, as sender, as receiver, or with its CPU cache alone."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from dpd_sim.core import keys
from dpd_sim.core.local_cache import LocalCache, misnamed
from dpd_sim.core.pages import PageBuffer
from dpd_sim.core.request import Sequence
from dpd_sim.core.schedule import Load, Plan
from dpd_sim.pd import report, wire
from dpd_sim.pd.connector import first_token
from dpd_sim.pd.report import Facts, Moved
from dpd_sim.pd.sender import SenderRank, Spec, at_once


@dataclass(slots=True)
class _Progress:
    chunks: list[keys.Chunk]
    hit: int = 0
    stored: int = 0


@dataclass(slots=True)
class Stores:
    """Where chunks can be: the receiver's buffers, one per rank, and the CPU cache."""

    buffers: list[PageBuffer] = field(default_factory=list)
    local: LocalCache | None = None


class LMCacheConnector:
    """The connector of one engine; `senders` is empty unless it is a PD sender."""

    def __init__(self, facts: Facts, stores: Stores, senders: list[SenderRank], close: Callable[[], Awaitable[None]]):
        self._facts = facts
        self._stores = stores
        self._senders = senders
        self._close = close
        self._progress: dict[str, _Progress] = {}

    def matched(self, sequence: Sequence, local: int) -> int:
        """Look a prompt up; a hit that covers it all leaves its last token to be computed."""
        facts, progress = self._facts, self._of(sequence)
        progress.stored = 0
        tokens = len(sequence.prompt) - facts.skip_last
        found = (
            keys.chunks(facts.root, sequence.prompt[:tokens], facts.config.chunk_size)
            if facts.skip_last
            else progress.chunks
        )
        hits = self._hits(found, sequence)
        progress.hit = found[hits - 1].end if hits else 0
        report.lookup(facts, tokens, progress.hit)
        external = progress.hit - local
        if progress.hit >= sequence.tokens:
            external = sequence.tokens - 1 - local
        return max(0, external)

    async def load(self, loads: list[Load]) -> None:
        """Retrieve what the lookups of this step found."""
        for load in loads:
            await self._retrieve(load)

    async def save(self, plan: Plan) -> None:
        """Store the step's new chunks, and push them when this is a sender."""
        works = []
        for piece in plan.prefills:
            done = piece.before + piece.new
            last = done >= len(piece.sequence.prompt)
            found = self._to_store(piece.sequence, done, last)
            if found:
                works.append((piece.sequence, found, last))
        if works and self._senders:
            await at_once([self._push(rank, works) for rank in range(self._facts.ranks)])
        for sequence, found, _ in works:
            self._keep(sequence, found)
        if self._senders:
            await self._repeat_notices(plan)

    def finished(self, sequence: Sequence) -> dict[str, Any] | None:
        """Forget the sequence; raises IndexError for an abort before the first token that was to be returned."""
        self._progress.pop(sequence.request_id, None)
        return first_token(sequence)

    def on_change(self, wake: Callable[[], None]) -> None:
        """Lookups are made anew for each step."""

    def holds(self, sequence: Sequence) -> bool:  # noqa: ARG002 - the interface's
        """Blocks are copied, not held."""
        return False

    def tick(self) -> list[Sequence]:
        """Nothing falls due: a page nobody reads stays."""
        return []

    async def close(self) -> None:
        """Close the sockets and stop the loops of all ranks."""
        await self._close()

    def _of(self, sequence: Sequence) -> _Progress:
        progress = self._progress.get(sequence.request_id)
        if progress is None:
            facts = self._facts
            chunks = keys.chunks(facts.root, sequence.prompt, facts.config.chunk_size)
            progress = self._progress[sequence.request_id] = _Progress(chunks)
        return progress

    def _hits(self, found: list[keys.Chunk], sequence: Sequence) -> int:
        """Chunks at the head of the prompt that every rank holds."""
        if self._facts.config.pre_caching_hash_algorithm != "builtin":
            return 0  # keys of another algorithm do not survive their trip over the wire
        count = 0
        for chunk in found:
            if not all(self._holds(rank, self._key(rank, chunk, sequence)) for rank in range(self._facts.ranks)):
                break
            count += 1
        return count

    def _holds(self, rank: int, key: str) -> bool:
        buffers, local = self._stores.buffers, self._stores.local
        return (rank < len(buffers) and key in buffers[rank]) or (local is not None and _rankless(key) in local)

    def _key(self, rank: int, chunk: keys.Chunk, sequence: Sequence) -> str:
        return self._facts.space.key(rank, chunk.digest, sequence.tags)

    async def _retrieve(self, load: Load) -> None:
        facts, sequence = self._facts, load.sequence
        progress, size = self._of(sequence), facts.config.chunk_size
        start = load.local // size * size
        source = sequence.prompt[: progress.hit]
        wanted = [chunk for chunk in keys.chunks(facts.root, source, size) if chunk.start >= start]
        for rank in range(facts.ranks):
            self._take(rank, wanted, sequence)
        seconds = facts.timing.retrieve(len(wanted) * facts.page_bytes)
        await facts.pause(seconds)
        moved = Moved(progress.hit - start, len(wanted), progress.hit, seconds)
        for rank in range(facts.ranks):
            report.retrieved(facts, rank, sequence.request_id, moved)

    def _take(self, rank: int, wanted: list[keys.Chunk], sequence: Sequence) -> None:
        for chunk in wanted:
            key = self._key(rank, chunk, sequence)
            local = self._stores.local
            if local is not None and _rankless(key) in local:
                sequence.garbled |= not local.is_right(_rankless(key))
                local.keep(_rankless(key))
                continue
            buffer = self._stores.buffers[rank]
            if key not in buffer:
                raise AssertionError(f"retrieve: memory object of {key} is gone; another request of this step took it")
            if buffer.take(key) == "garbage":
                sequence.garbled = True

    def _to_store(self, sequence: Sequence, done: int, last: bool) -> list[keys.Chunk]:
        if not self._senders and self._stores.local is None:
            return []
        progress, facts = self._of(sequence), self._facts
        partial = last and facts.config.save_unfull_chunk and facts.keep_partial
        full = [c for c in progress.chunks if c.end <= done and c.end - c.start == facts.config.chunk_size]
        tail = progress.chunks[len(full) :] if partial else []
        found = [*full, *tail][progress.stored :]
        progress.stored += len(found)
        if self._senders:
            room = (facts.config.pd_buffer_size or 0) // facts.page_bytes
            return found[:room]  # a buffer too small for the step stores its head, or nothing
        return found

    async def _push(self, rank: int, works: list[tuple[Sequence, list[keys.Chunk], bool]]) -> None:
        for sequence, found, last in works:
            spec = Spec.of(sequence.kv_params, rank)
            began = self._facts.clock()
            request = self._request(rank, sequence, found)
            pace = self._facts.timing.transfer(self._facts.page_bytes)
            await self._senders[rank].send(spec, request, pace, sequence.garbled)
            tokens, seconds = found[-1].end - found[0].start, self._facts.clock() - began
            moved = Moved(tokens, len(found), len(sequence.prompt), seconds)
            report.stored(self._facts, rank, sequence.request_id, moved)
            if last:
                await self._senders[rank].notify(spec.req_id)

    def _request(self, rank: int, sequence: Sequence, found: list[keys.Chunk]) -> wire.AllocRequest:
        size, last = self._facts.config.chunk_size, found[-1]
        shape = [2, self._facts.token_bytes // 4, size]
        names = [self._key(rank, chunk, sequence) for chunk in found]
        return wire.AllocRequest(names, 1, shape, self._facts.space.dtype, last.end - last.start)

    def _keep(self, sequence: Sequence, found: list[keys.Chunk]) -> None:
        """Copy what was stored into the CPU cache. A sender's copies get wrong names, unless the plugin is there."""
        local, facts = self._stores.local, self._facts
        if local is None or (facts.config.store_location == "PDBackend" and not facts.own_names):
            return
        named = [_rankless(self._key(0, chunk, sequence)) for chunk in found]
        right = not self._senders or facts.own_names
        for key, content in list(zip(named, named, strict=True) if right else misnamed(named, local)):
            local.keep(key, content)

    async def _repeat_notices(self, plan: Plan) -> None:
        """A producer that decodes sends one more notice per token, which a router must not count as another rank's."""
        for sequence in (s for s in plan.decodes if s.kv_params.get("disagg_spec")):
            for rank, sender in enumerate(self._senders):
                await sender.notify(Spec.of(sequence.kv_params, rank).req_id)


def _rankless(key: str) -> str:
    model, world, _, *rest = key.split("@")
    return "@".join((model, world, "0", *rest))


async def cancel(tasks: list[asyncio.Task[None]]) -> None:
    """End tasks and wait until they have ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
