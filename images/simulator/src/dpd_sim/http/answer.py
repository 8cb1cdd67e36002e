"""The shapes of answers: chat completions, completions, their stream chunks, usage and logprobs. Pure."""

from collections.abc import Sequence as List
from dataclasses import dataclass, field
from typing import Any

from dpd_sim.core import text, tokenizer
from dpd_sim.core.request import Sequence
from dpd_sim.engine import Step
from dpd_sim.http.ask import Ask


@dataclass(slots=True)
class Choice:
    """One answer under way: its sequence, its steps so far, and how much of its text was sent."""

    index: int
    sequence: Sequence
    steps: list[Step] = field(default_factory=list)
    sent: int = 0

    def take(self, step: Step) -> str:
        """Add a step; returns the text that may be sent because of it."""
        self.steps.append(step)
        fresh = step.text[self.sent :]
        self.sent = len(step.text)
        return fresh


@dataclass(frozen=True, slots=True)
class Head:
    """What every object of one answer carries."""

    id: str
    created: int
    ask: Ask

    def object(self, choices: list[dict[str, Any]], chunk: bool) -> dict[str, Any]:
        """One response object or stream chunk."""
        kind = "text_completion" if self.ask.kind == "completion" else "chat.completion" + (".chunk" if chunk else "")
        return {"id": self.id, "object": kind, "created": self.created, "model": self.ask.model, "choices": choices}


def usage(choices: List[Choice], n: int) -> dict[str, Any]:
    """Token counts; a prompt counts once however many answers it has."""
    prompt = sum(len(choice.sequence.prompt) for choice in choices if choice.index % n == 0)
    output = sum(len(choice.steps) for choice in choices)
    return {
        "prompt_tokens": prompt,
        "total_tokens": prompt + output,
        "completion_tokens": output,
        "prompt_tokens_details": None,
    }


def whole(head: Head, choices: List[Choice]) -> dict[str, Any]:
    """The answer to a request that does not stream."""
    shape = _chat_choice if head.ask.kind == "chat" else _completion_choice
    body = head.object([shape(head.ask, choice) for choice in choices], chunk=False)
    body["usage"] = usage(choices, head.ask.n)
    body["kv_transfer_params"] = next((c.sequence.result_kv for c in choices if c.sequence.result_kv), None)
    return body


def opening(head: Head, choice: Choice) -> dict[str, Any]:
    """A chat stream's first chunk of one answer."""
    delta = {"role": "assistant", "content": ""}
    return head.object([{"index": choice.index, "delta": delta, "logprobs": None, "finish_reason": None}], chunk=True)


def chunk(head: Head, choice: Choice, step: Step, fresh: str) -> dict[str, Any]:
    """One step's stream chunk."""
    finish = _finish(head.ask, step.finish)
    entry: dict[str, Any] = {"index": choice.index}
    if head.ask.kind == "chat":
        entry["delta"] = _delta(head.ask, choice, fresh)
        entry["logprobs"] = (
            {"content": [_chat_logprob(step, head.ask.logprobs)]} if head.ask.logprobs is not None else None
        )
    else:
        entry["text"] = fresh
        entry["logprobs"] = _completion_logprobs([step], head.ask.logprobs) if head.ask.logprobs is not None else None
    entry["finish_reason"] = finish
    if step.finish == "stop":
        entry["stop_reason"] = choice.sequence.stop_reason
    if head.ask.token_ids:
        entry["token_ids"] = [step.token]
    return head.object([entry], chunk=True)


def closing(head: Head, choices: List[Choice]) -> dict[str, Any]:
    """The chunk with usage and no choices that ends a stream when asked for."""
    return {**head.object([], chunk=True), "usage": usage(choices, head.ask.n)}


def _delta(ask: Ask, choice: Choice, fresh: str) -> dict[str, Any]:
    if ask.call is None:
        return {"content": fresh}
    call: dict[str, Any] = {"index": 0, "function": {"arguments": fresh}}
    if len(choice.steps) == 1:
        call = {
            "index": 0,
            "id": ask.call.call_id,
            "type": "function",
            "function": {"name": ask.call.name, "arguments": fresh},
        }
    return {"tool_calls": [call]}


def _finish(ask: Ask, finish: str | None) -> str | None:
    return "tool_calls" if finish == "stop" and ask.call is not None and ask.call.required else finish


def _chat_choice(ask: Ask, choice: Choice) -> dict[str, Any]:
    sequence = choice.sequence
    message: dict[str, Any] = {"role": "assistant", "content": sequence.text, "refusal": None, "tool_calls": []}
    if ask.call is not None:
        function = {"name": ask.call.name, "arguments": sequence.text}
        message |= {"content": None, "tool_calls": [{"id": ask.call.call_id, "type": "function", "function": function}]}
    found = [_chat_logprob(step, ask.logprobs) for step in choice.steps] if ask.logprobs is not None else None
    return {
        "index": choice.index,
        "message": message,
        "logprobs": {"content": found} if found is not None else None,
        **_ends(ask, choice),
    }


def _completion_choice(ask: Ask, choice: Choice) -> dict[str, Any]:
    head = tokenizer.decode(choice.sequence.prompt) if ask.echo else ""
    found = _completion_logprobs(choice.steps, ask.logprobs) if ask.logprobs is not None else None
    return {"index": choice.index, "text": head + choice.sequence.text, "logprobs": found, **_ends(ask, choice)}


def _ends(ask: Ask, choice: Choice) -> dict[str, Any]:
    sequence = choice.sequence
    ends: dict[str, Any] = {"finish_reason": _finish(ask, sequence.finish), "stop_reason": sequence.stop_reason}
    if ask.token_ids:
        ends |= {"token_ids": list(sequence.output), "prompt_token_ids": list(sequence.prompt)}
    return ends


def _ranked(step: Step, top: int) -> list[tuple[int, float]]:
    found = [(step.token, text.logprob(step.before, 0))]
    seen, rank = {step.token}, 1
    while len(found) < top and rank < 20 * top:
        token = text.next_token(step.before, 0, rank)
        if token not in seen:
            seen.add(token)
            found.append((token, text.logprob(step.before, len(found))))
        rank += 1
    return found


def _chat_logprob(step: Step, top: int | None) -> dict[str, Any]:
    rows = [_row(token, value) for token, value in _ranked(step, max(1, top or 0))]
    return {**rows[0], "top_logprobs": rows if top else []}


def _row(token: int, value: float) -> dict[str, Any]:
    piece = tokenizer.piece(token)
    return {"token": piece, "logprob": value, "bytes": list(piece.encode())}


def _completion_logprobs(steps: List[Step], top: int | None) -> dict[str, Any]:
    ranked = [_ranked(step, max(1, top or 0)) for step in steps]
    pieces = [tokenizer.piece(step.token) for step in steps]
    offsets = [sum(len(piece) for piece in pieces[:at]) for at in range(len(pieces))]
    return {
        "text_offset": offsets,
        "token_logprobs": [rows[0][1] for rows in ranked],
        "tokens": pieces,
        "top_logprobs": [{tokenizer.piece(token): value for token, value in rows} for rows in ranked],
    }
