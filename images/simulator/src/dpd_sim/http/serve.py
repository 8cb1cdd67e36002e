"""One generation request through the engine: submit, follow, shape, and abort when the client leaves."""

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from dpd_sim.core.request import Sequence
from dpd_sim.engine import Engine, EngineDeadError, Step, Stream
from dpd_sim.http import answer
from dpd_sim.http.answer import Choice, Head
from dpd_sim.http.ask import Ask
from dpd_sim.http.dialects import Words, named
from dpd_sim.http.errors import ApiError

DONE = b"data: [DONE]\n\n"
Submitted = list[tuple[Choice, Stream]]


async def generate(request: Request, engine: Engine, ask: Ask, answer_id: str, words: Words | None = None) -> Response:
    """Answer a checked request, whole or as a stream of events; `words` are other than a completion's."""
    head = Head(answer_id, int(time.time()), ask)
    submitted = submit(engine, ask, answer_id)
    if ask.stream:
        events = _events(engine, head, submitted) if words is None else _told(engine, head, submitted, words)
        return StreamingResponse(events, media_type="text/event-stream")
    work = asyncio.ensure_future(_collect(submitted))
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            return Response(status_code=499)
        work.result()
        return JSONResponse((words or answer).whole(head, [choice for choice, _ in submitted]))
    finally:
        for task in (work, gone):
            task.cancel()
        await asyncio.gather(work, gone, return_exceptions=True)
        _abort(engine, submitted)


def submit(engine: Engine, ask: Ask, answer_id: str) -> Submitted:
    """Queue one sequence per prompt and answer. Raises ApiError with status 500 when the engine is dead."""
    submitted: Submitted = []
    many = len(ask.prompts) * ask.n > 1
    for index, (prompt, turn) in enumerate(itertools.product(ask.prompts, range(ask.n))):
        sampling = replace(ask.sampling, salt=ask.sampling.salt + turn * 7919) if ask.varies else ask.sampling
        name = f"{answer_id}-{index}" if many or ask.kind == "completion" else answer_id
        sequence = Sequence(name, list(prompt), sampling, ask.kv_params, engine.now())
        try:
            submitted.append((Choice(index, sequence), engine.submit(sequence)))
        except EngineDeadError as error:
            raise dead(error) from None
    return submitted


def dead(error: EngineDeadError) -> ApiError:
    """The answer of a dead engine."""
    return ApiError(f"EngineCore encountered an issue. See stack trace (above) for the root cause. ({error})", 500)


async def _collect(submitted: Submitted) -> None:
    try:
        for choice, stream in submitted:
            while choice.sequence.finish is None or not choice.steps or choice.steps[-1].finish is None:
                choice.take(await stream.next())
    except EngineDeadError as error:
        raise dead(error) from None


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _abort(engine: Engine, submitted: Submitted) -> None:
    for choice, _ in submitted:
        if choice.sequence.finish is None:
            engine.abort(choice.sequence.request_id)


async def _events(engine: Engine, head: Head, submitted: Submitted) -> AsyncIterator[bytes]:
    choices = [choice for choice, _ in submitted]
    try:
        opened = head.ask.kind != "chat"
        async for choice, step in _merged(submitted):
            if not opened:  # vLLM says nothing before its first token, so that an error can still come first
                opened = True
                for each in choices:
                    yield _event(answer.opening(head, each))
            fresh = choice.take(step)
            body = answer.chunk(head, choice, step, fresh)
            if head.ask.continuous_usage:
                body["usage"] = answer.usage(choices, head.ask.n)
            yield _event(body)
        if head.ask.include_usage:
            yield _event(answer.closing(head, choices))
    except EngineDeadError as error:
        yield _event(dead(error).body())
    finally:
        _abort(engine, submitted)
    yield DONE


async def _told(engine: Engine, head: Head, submitted: Submitted, words: Words) -> AsyncIterator[bytes]:
    choices = [choice for choice, _ in submitted]
    try:
        for event in words.opening(head, choices):
            yield event
        async for choice, step in _merged(submitted):
            for event in words.step(head, choice, step, choice.take(step)):
                yield event
        for event in words.closing(head, choices):
            yield event
    except EngineDeadError as error:
        yield named("error", **dead(error).body())
    finally:
        _abort(engine, submitted)


async def _merged(submitted: Submitted) -> AsyncIterator[tuple[Choice, Step]]:
    """Steps of all answers in the order they come."""
    if len(submitted) == 1:
        choice, stream = submitted[0]
        step = await stream.next()
        while True:
            yield choice, step
            if step.finish:
                return
            step = await stream.next()
    waiting = {asyncio.ensure_future(stream.next()): (choice, stream) for choice, stream in submitted}
    try:
        while waiting:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in sorted(done, key=lambda task: waiting[task][0].index):
                choice, stream = waiting.pop(task)
                step = task.result()
                if not step.finish:
                    waiting[asyncio.ensure_future(stream.next())] = (choice, stream)
                yield choice, step
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


def _event(body: object) -> bytes:
    return b"data: " + json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"
