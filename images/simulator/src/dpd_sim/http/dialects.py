"""Two more forms of a chat: OpenAI's responses and Anthropic's messages. Pure: bodies in, events and answers out.

As in vLLM, a request of either form becomes a chat completion, and what the engine says is put into the form's words.
"""

import json
from collections.abc import Iterator, Mapping
from collections.abc import Sequence as List
from typing import Any, Protocol

from dpd_sim.core.text import fingerprint
from dpd_sim.engine import Step
from dpd_sim.http import answer
from dpd_sim.http.answer import Choice, Head
from dpd_sim.http.errors import ApiError

Body = dict[str, Any]


class Words(Protocol):
    """How a chat's answer is told."""

    def whole(self, head: Head, choices: List[Choice]) -> Body:
        """The answer to a request that does not stream."""

    def opening(self, head: Head, choices: List[Choice]) -> Iterator[bytes]:
        """A stream's first events."""

    def step(self, head: Head, choice: Choice, step: Step, fresh: str) -> Iterator[bytes]:
        """One step's events."""

    def closing(self, head: Head, choices: List[Choice]) -> Iterator[bytes]:
        """A stream's last events."""


def named(kind: str, **fields: Any) -> bytes:
    """One server-sent event with a name."""
    body = json.dumps({"type": kind, **fields}, ensure_ascii=False, separators=(",", ":"))
    return f"event: {kind}\ndata: {body}\n\n".encode()


def from_response(body: Mapping[str, Any]) -> Body:
    """The chat that a response's body asks for. Raises ApiError."""
    if body.get("previous_response_id"):
        raise ApiError(f"Response with id '{body['previous_response_id']}' not found.", 404, "response_id")
    if body.get("background"):
        raise ApiError("This vLLM engine does not support `store=True` and therefore no background mode.")
    given = body.get("input")
    turns = [{"role": "user", "content": given}] if type(given) is str else given
    if type(turns) is not list or not turns or not all(type(turn) is dict for turn in turns):
        raise ApiError("input: text or a list of items is required", param="input")
    opening = [{"role": "system", "content": body["instructions"]}] if body.get("instructions") else []
    messages = [*opening, *({"role": turn.get("role"), "content": turn.get("content")} for turn in turns)]
    kept = ("model", "stream", "temperature", "top_p", "seed", "stop", "ignore_eos", "kv_transfer_params", "user")
    chat = {key: body[key] for key in kept if key in body}
    return chat | {"messages": messages, "max_tokens": body.get("max_output_tokens")}


def from_message(body: Mapping[str, Any]) -> Body:
    """The chat that a message's body asks for. Raises ApiError."""
    for key in ("model", "messages", "max_tokens"):
        if body.get(key) is None:
            raise ApiError(f"{key}: Field required", param=key)
    if type(body["messages"]) is not list:
        raise ApiError("messages: a list of at least one message is required", param="messages")
    opening = [{"role": "system", "content": body["system"]}] if body.get("system") else []
    kept = ("model", "stream", "temperature", "top_p", "max_tokens", "kv_transfer_params")
    chat = {key: body[key] for key in kept if key in body}
    return chat | {"messages": opening + body["messages"], "stop": body.get("stop_sequences")}


class Responses:
    """The words of /v1/responses."""

    def whole(self, head: Head, choices: List[Choice]) -> Body:
        """The response."""
        (choice,) = choices
        done = choice.sequence.finish == "stop"
        item = self._item(head, choice.sequence.text, "completed" if done else "incomplete")
        used = answer.usage(choices, 1)
        usage = {
            "input_tokens": used["prompt_tokens"],
            "output_tokens": used["completion_tokens"],
            "total_tokens": used["total_tokens"],
        }
        return self._response(head, "completed" if done else "incomplete", [item]) | {
            "usage": usage,
            "incomplete_details": None if done else {"reason": "max_output_tokens"},
            "kv_transfer_params": choice.sequence.result_kv,
        }

    def opening(self, head: Head, choices: List[Choice]) -> Iterator[bytes]:  # noqa: ARG002 - a form's signature
        """The response and its one item begin."""
        begun = self._response(head, "in_progress", [])
        yield named("response.created", response=begun, sequence_number=0)
        yield named("response.in_progress", response=begun, sequence_number=1)
        item = self._item(head, "", "in_progress") | {"content": []}
        yield named("response.output_item.added", item=item, output_index=0, sequence_number=2)
        place = self._place(head)
        yield named("response.content_part.added", part=self._part(""), sequence_number=3, **place)

    def step(self, head: Head, choice: Choice, step: Step, fresh: str) -> Iterator[bytes]:  # noqa: ARG002
        """A piece of text."""
        yield named(
            "response.output_text.delta", delta=fresh, sequence_number=3 + len(choice.steps), **self._place(head)
        )

    def closing(self, head: Head, choices: List[Choice]) -> Iterator[bytes]:
        """The text, the part, the item and the response are whole."""
        (choice,) = choices
        text, place, number = choice.sequence.text, self._place(head), 4 + len(choice.steps)
        yield named("response.output_text.done", text=text, sequence_number=number, **place)
        yield named("response.content_part.done", part=self._part(text), sequence_number=number + 1, **place)
        done = self.whole(head, choices)
        yield named("response.output_item.done", item=done["output"][0], output_index=0, sequence_number=number + 2)
        yield named("response.completed", response=done, sequence_number=number + 3)

    def _response(self, head: Head, status: str, output: list[Body]) -> Body:
        return {
            "id": head.id,
            "object": "response",
            "created_at": head.created,
            "model": head.ask.model,
            "status": status,
            "output": output,
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
        }

    def _item(self, head: Head, text: str, status: str) -> Body:
        item: Body = {"id": self._place(head)["item_id"], "type": "message", "role": "assistant", "status": status}
        return item | {"content": [self._part(text)]}

    def _part(self, text: str) -> Body:
        return {"type": "output_text", "text": text, "annotations": []}

    def _place(self, head: Head) -> Body:
        return {"item_id": f"msg_{fingerprint(head.id)}", "output_index": 0, "content_index": 0}


class Messages:
    """The words of /v1/messages."""

    def whole(self, head: Head, choices: List[Choice]) -> Body:
        """The message."""
        (choice,) = choices
        used = answer.usage(choices, 1)
        message = self._message(head, used["prompt_tokens"], used["completion_tokens"])
        message["content"] = [{"type": "text", "text": choice.sequence.text}]
        message["stop_reason"] = "end_turn" if choice.sequence.finish == "stop" else "max_tokens"
        if choice.sequence.result_kv is not None:
            message["kv_transfer_params"] = choice.sequence.result_kv
        return message

    def opening(self, head: Head, choices: List[Choice]) -> Iterator[bytes]:
        """The message and its one block begin."""
        (choice,) = choices
        message = self._message(head, len(choice.sequence.prompt), 0) | {"content": []}
        yield named("message_start", message=message)
        yield named("content_block_start", index=0, content_block={"type": "text", "text": ""})

    def step(self, head: Head, choice: Choice, step: Step, fresh: str) -> Iterator[bytes]:  # noqa: ARG002
        """A piece of text."""
        yield named("content_block_delta", index=0, delta={"type": "text_delta", "text": fresh})

    def closing(self, head: Head, choices: List[Choice]) -> Iterator[bytes]:
        """The block and the message end."""
        done = self.whole(head, choices)
        yield named("content_block_stop", index=0)
        yield named("message_delta", delta={"stop_reason": done["stop_reason"]}, usage=done["usage"])
        yield named("message_stop")

    def _message(self, head: Head, prompt: int, output: int) -> Body:
        usage = {"input_tokens": prompt, "output_tokens": output}
        return {"id": head.id, "type": "message", "role": "assistant", "model": head.ask.model, "usage": usage}
