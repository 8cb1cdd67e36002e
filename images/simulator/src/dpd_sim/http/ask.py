"""From a request body to what the engine is to do. Pure: bodies in, Ask or ApiError out."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from dpd_sim.core import tokenizer
from dpd_sim.core.request import Sampling
from dpd_sim.http import fields, tools
from dpd_sim.http.errors import ApiError

Kind = Literal["chat", "completion"]

_TEXT = ("text", "input_text")  # no set: what a client sends in their place need not be hashable


@dataclass(frozen=True, slots=True)
class Limits:
    """What an engine's flags allow."""

    names: tuple[str, ...]
    max_model_len: int
    max_logprobs: int
    answer_tokens: int
    auto_tools: bool


@dataclass(frozen=True, slots=True)
class Ask:
    """One checked request: prompts in order, and for each of them `n` answers."""

    kind: Kind
    model: str
    prompts: tuple[list[int], ...]
    n: int
    sampling: Sampling
    varies: bool
    stream: bool
    include_usage: bool
    continuous_usage: bool
    logprobs: int | None
    echo: bool
    token_ids: bool
    kv_params: Mapping[str, Any]
    call: tools.Call | None


def chat(body: Mapping[str, Any], limits: Limits) -> Ask:
    """Read a chat completion's body."""
    fields.check(body)
    messages = body.get("messages")
    if type(messages) is not list or not messages:
        raise ApiError("messages: a list of at least one message is required", param="messages")
    turns = [_turn(message) for message in messages]
    call = tools.choose(body, limits.auto_tools)
    offered = json.dumps(body["tools"]) if body.get("tools") and body.get("tool_choice") != "none" else ""
    prompt = tokenizer.chat(turns, offered, bool(body.get("add_generation_prompt", True)))
    wanted = body.get("logprobs")
    if wanted not in (None, True, False):
        raise ApiError("logprobs: true or false is required", param="logprobs")
    if body.get("top_logprobs") and not wanted:
        raise ApiError("when using `top_logprobs`, `logprobs` must be set to true.", param="top_logprobs")
    return _ask("chat", body, limits, (prompt,), (body.get("top_logprobs") or 0) if wanted else None, call)


def completion(body: Mapping[str, Any], limits: Limits) -> Ask:
    """Read a completion's body."""
    fields.check(body)
    wanted = body.get("logprobs")
    if wanted is not None and (type(wanted) is not int or wanted < 0):
        raise ApiError("logprobs must be a non-negative integer.", param="logprobs")
    return _ask("completion", body, limits, _prompts(body.get("prompt")), wanted, None)


def text_of(content: Any) -> str:
    """The text of a message's content: a string, null, or parts of which the text ones count."""
    if content is None:
        return ""
    if type(content) is str:
        return content
    if type(content) is list and all(type(part) is dict for part in content):
        return "\n".join(str(part.get("text", "")) for part in content if part.get("type") in _TEXT)
    raise ApiError("content: a string or a list of parts is required", param="messages")


def _turn(message: Any) -> tuple[str, str]:
    if type(message) is not dict or type(message.get("role")) is not str or not message["role"]:
        raise ApiError("messages: every message needs a role", param="messages")
    extra = json.dumps(message["tool_calls"]) if message.get("tool_calls") else ""
    return message["role"], text_of(message.get("content")) + extra


def _prompts(prompt: Any) -> tuple[list[int], ...]:
    """Read a prompt: text, token ids, or a list of either."""
    match prompt:
        case str():
            found = [[tokenizer.BEGIN, *tokenizer.encode(prompt)]]
        case [int(), *_]:
            found = [_ids(prompt)]
        case [str(), *_] if all(type(p) is str for p in prompt):
            found = [[tokenizer.BEGIN, *tokenizer.encode(p)] for p in prompt]
        case [list(), *_] if all(type(p) is list for p in prompt):
            found = [_ids(p) for p in prompt]
        case _:
            raise ApiError("prompt: text, token ids or a list of either is required", param="prompt")
    if not all(found):
        raise ApiError("The decoder prompt cannot be empty", param="prompt")
    return tuple(found)


def _ids(prompt: list[Any]) -> list[int]:
    for token in prompt:
        if type(token) is not int:
            raise ApiError("prompt: token ids must be integers", param="prompt")
        if not tokenizer.is_token(token):
            raise ApiError(f"Token id {token} is out of vocabulary", param="prompt")
    return list(prompt)


def _ask(
    kind: Kind,
    body: Mapping[str, Any],
    limits: Limits,
    prompts: tuple[list[int], ...],
    logprobs: int | None,
    call: tools.Call | None,
) -> Ask:
    model = model_of(body.get("model"), limits)
    if (logprobs or 0) > limits.max_logprobs:
        raise ApiError(
            f"Requested sample logprobs of {logprobs}, which is greater than max allowed: {limits.max_logprobs}"
        )
    options = body.get("stream_options") or {}
    if options and not body.get("stream"):
        raise ApiError("Stream options can only be defined when `stream=True`.", param="stream_options")
    longest = max(len(prompt) for prompt in prompts)
    return Ask(
        kind=kind,
        model=model,
        prompts=prompts,
        n=body.get("n") or 1,
        sampling=_sampling(kind, body, limits, longest, call),
        varies=_temperature(body) > 0,
        stream=bool(body.get("stream")),
        include_usage=bool(options.get("include_usage")),
        continuous_usage=bool(options.get("continuous_usage_stats")),
        logprobs=logprobs,
        echo=bool(body.get("echo")),
        token_ids=bool(body.get("return_token_ids")),
        kv_params=body.get("kv_transfer_params") or {},
        call=call,
    )


def model_of(name: Any, limits: Limits) -> str:
    """The served model that a request names, the first when it names none. Raises ApiError."""
    if name in (None, ""):
        return limits.names[0]
    if name not in limits.names:
        raise ApiError(f"The model `{name}` does not exist.", 404, "model")
    return str(name)


def _temperature(body: Mapping[str, Any]) -> float:
    value = body.get("temperature")
    return 1.0 if value is None else value


def _sampling(kind: Kind, body: Mapping[str, Any], limits: Limits, longest: int, call: tools.Call | None) -> Sampling:
    wanted = body.get("max_completion_tokens") or body.get("max_tokens")
    most = _room(wanted, limits.max_model_len, longest)
    most = min(most, wanted or (most if kind == "chat" else 16))
    least = body.get("min_tokens") or 0
    if least > most:
        raise ApiError(f"min_tokens must be less than or equal to max_tokens={most}, got {least}.", param="min_tokens")
    if _temperature(body) == 0 and (body.get("n") or 1) > 1:
        raise ApiError(f"n must be 1 when using greedy sampling, got {body['n']}.", param="n")
    return Sampling(
        max_tokens=most,
        min_tokens=least,
        stop=_stops(body.get("stop")),
        stop_token_ids=tuple(body.get("stop_token_ids") or ()),
        ignore_eos=bool(body.get("ignore_eos")),
        salt=(body.get("seed") or 0) + 1 if _temperature(body) > 0 else 0,
        answer_tokens=limits.answer_tokens,
        forced=tuple(tokenizer.encode(call.text if call else tools.guided(body))),
    )


def _room(wanted: int | None, limit: int, prompt: int) -> int:
    """Tokens an answer may have; refuses a prompt or an answer that cannot fit the model's length, in vLLM's words.

    vLLM reads no more of a prompt than one token too many, and says so.
    """
    answer = wanted or 0
    if answer > limit:
        raise ApiError(
            f"max_tokens={answer}cannot be greater than max_model_len=max_total_tokens={limit}. "
            "Please request fewer output tokens.",
            param="max_tokens",
        )
    count = min(prompt, limit - answer + 1)
    if count > limit - answer:
        raise ApiError(
            f"This model's maximum context length is {limit} tokens. However, you requested {answer} output tokens and "
            f"your prompt contains at least {count} input tokens, for a total of at least {count + answer} tokens. "
            "Please reduce the length of the input prompt or the number of requested output tokens.",
            param="input_tokens",
        )
    if prompt == limit:
        raise ApiError(
            f"This model's maximum context length is {limit} tokens. However, your request has {prompt} input tokens. "
            "Please reduce the length of the input messages.",
            param="input_tokens",
        )
    return limit - prompt


def _stops(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    stops = [value] if type(value) is str else value
    if type(stops) is not list or not all(type(stop) is str for stop in stops):
        raise ApiError("stop: a string or a list of strings is required", param="stop")
    if not all(stops):
        raise ApiError("stop cannot contain an empty string.", param="stop")
    return tuple(stops)
