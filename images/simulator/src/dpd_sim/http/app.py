"""The routes of `vllm serve` that a router, a probe or a client uses."""

import hashlib
import hmac
import json
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from dpd_sim.build import Parts
from dpd_sim.core import tokenizer
from dpd_sim.http import ask, dialects, pooling, serve
from dpd_sim.http.admin import Admin
from dpd_sim.http.ask import Ask, Limits
from dpd_sim.http.errors import ApiError
from dpd_sim.http.exposition import Exposition
from dpd_sim.settings import Settings

VERSION = "0.19.0"
Reader = Callable[[dict[str, Any], Limits], Ask]
Pooling = Callable[[dict[str, Any], str], dict[str, Any]]
_POOLING: tuple[tuple[str, Pooling], ...] = (
    ("/v1/embeddings", pooling.embeddings),
    ("/score", pooling.scores),
    ("/v1/score", pooling.scores),
    ("/rerank", pooling.ranks),
    ("/v1/rerank", pooling.ranks),
    ("/v2/rerank", pooling.ranks),
)


class Api:
    """Handlers over one engine."""

    def __init__(self, settings: Settings, parts: Parts, admin: Admin, created: int):
        self._settings = settings
        self._parts = parts
        self._admin = admin
        self._created = created
        self._metrics = Exposition(parts, settings)
        self._limits = Limits(
            settings.names,
            settings.max_model_len,
            settings.flags.max_logprobs,
            settings.knobs.answer_tokens,
            settings.flags.enable_auto_tool_choice and settings.flags.tool_call_parser is not None,
        )

    def routes(self) -> list[Route]:
        """Every route, the faults under /sim among them when they are switched on."""
        rows: list[tuple[str, list[str], Callable[[Request], Awaitable[Response]]]] = [
            ("/health", ["GET"], self.health),
            ("/ping", ["GET", "POST"], self.health),
            ("/version", ["GET"], self.version),
            ("/metrics", ["GET"], self.metrics),
            ("/v1/models", ["GET"], self.models),
            ("/v1/chat/completions", ["POST"], self.chat),
            ("/v1/completions", ["POST"], self.completions),
            ("/invocations", ["POST"], self.invocations),
            ("/tokenize", ["POST"], self.tokenize),
            ("/detokenize", ["POST"], self.detokenize),
        ]
        if self._settings.flags.runner == "pooling":
            rows = [row for row in rows if row[2] not in (self.chat, self.completions, self.invocations)]
            rows += [(path, ["POST"], self._pool(answer)) for path, answer in _POOLING]
        else:
            rows += [
                ("/v1/responses", ["POST"], self.responses),
                ("/v1/messages", ["POST"], self.messages),
                ("/v1/messages/count_tokens", ["POST"], self.count_tokens),
            ]
        if self._settings.knobs.admin:
            rows += self._admin.rows()
        return [Route(path, handler, methods=methods) for path, methods, handler in rows]

    async def health(self, request: Request) -> Response:  # noqa: ARG002 - a handler's signature
        """200 as long as the engine core lives, were it hanging or not; 503 once it has died."""
        return Response(status_code=503 if self._parts.engine.dead is not None else 200)

    async def version(self, request: Request) -> Response:  # noqa: ARG002
        """The version this stands for."""
        return JSONResponse({"version": VERSION})

    async def metrics(self, request: Request) -> Response:  # noqa: ARG002
        """The Prometheus exposition."""
        return PlainTextResponse(self._metrics.render(), media_type="text/plain; version=1.0.0")

    async def models(self, request: Request) -> Response:  # noqa: ARG002
        """The served names."""
        return JSONResponse({"object": "list", "data": [self._card(name) for name in self._settings.names]})

    async def chat(self, request: Request) -> Response:
        """A chat completion."""
        return await self._generate(request, "chatcmpl", ask.chat, await read(request))

    async def completions(self, request: Request) -> Response:
        """A completion."""
        return await self._generate(request, "cmpl", ask.completion, await read(request))

    async def invocations(self, request: Request) -> Response:
        """SageMaker's one path: whatever the body looks like."""
        body = await read(request)
        if "messages" in body:
            return await self._generate(request, "chatcmpl", ask.chat, body)
        return await self._generate(request, "cmpl", ask.completion, body)

    async def responses(self, request: Request) -> Response:
        """A chat in the words of OpenAI's responses."""
        body = dialects.from_response(await read(request))
        return await self._generate(request, "resp", ask.chat, body, dialects.Responses())

    async def messages(self, request: Request) -> Response:
        """A chat in the words of Anthropic's messages."""
        body = dialects.from_message(await read(request))
        return await self._generate(request, "chatcmpl", ask.chat, body, dialects.Messages())

    async def count_tokens(self, request: Request) -> Response:
        """How long a message's prompt is."""
        body = dialects.from_message({**await read(request), "max_tokens": 1})
        return JSONResponse({"input_tokens": len(ask.chat(body, self._limits).prompts[0])})

    def _pool(self, answer: Pooling) -> Callable[[Request], Awaitable[Response]]:
        async def handle(request: Request) -> Response:
            body = await read(request)
            return JSONResponse(answer(body, ask.model_of(body.get("model"), self._limits)))

        return handle

    async def tokenize(self, request: Request) -> Response:
        """Token ids of a prompt or of messages."""
        body = await read(request)
        if "messages" in body:
            ids = ask.chat({**body, "max_tokens": 1}, self._limits).prompts[0]
        elif type(body.get("prompt")) is str:
            begin = [tokenizer.BEGIN] if body.get("add_special_tokens", True) else []
            ids = [*begin, *tokenizer.encode(body["prompt"])]
        else:
            raise ApiError("prompt or messages is required", param="prompt")
        names = [tokenizer.piece(i) or tokenizer.marker(i) for i in ids] if body.get("return_token_strs") else None
        answer = {"count": len(ids), "max_model_len": self._limits.max_model_len, "tokens": ids, "token_strs": names}
        return JSONResponse(answer)

    async def detokenize(self, request: Request) -> Response:
        """Text of token ids."""
        tokens = (await read(request)).get("tokens")
        if type(tokens) is not list or not all(type(token) is int and token >= 0 for token in tokens):
            raise ApiError("tokens: a list of token ids is required", param="tokens")
        return JSONResponse({"prompt": tokenizer.decode(tokens)})

    async def _generate(
        self, request: Request, prefix: str, reader: Reader, body: dict[str, Any], words: dialects.Words | None = None
    ) -> Response:
        answer_id = f"{prefix}-{request.headers.get('x-request-id') or uuid.uuid4().hex}"
        await self._admin.disturb()
        response = await serve.generate(request, self._parts.engine, reader(body, self._limits), answer_id, words)
        if self._settings.flags.enable_request_id_headers:
            response.headers["x-request-id"] = request.headers.get("x-request-id") or answer_id
        return response

    def _card(self, name: str) -> dict[str, Any]:
        return {
            "id": name,
            "object": "model",
            "created": self._created,
            "owned_by": "vllm",
            "root": self._settings.flags.model,
            "parent": None,
            "max_model_len": self._settings.max_model_len,
            "permission": [],
        }


async def read(request: Request) -> dict[str, Any]:
    """A request's JSON object. Raises ApiError with status 400."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media not in {"application/json", ""} and not media.endswith("+json"):
        raise ApiError("Unsupported Media Type: Only 'application/json' is allowed")
    try:
        raw = await request.body()
        body = json.loads(raw)
        if b"\\ud" in raw.lower():
            json.dumps(body, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except (ValueError, RecursionError) as error:
        raise ApiError(f"JSON decode error: {error}") from None
    if type(body) is not dict:
        raise ApiError("Input should be a valid dictionary")
    return body


async def _refuse(request: Request, error: Exception) -> Response:  # noqa: ARG001
    match error:
        case ApiError():
            return JSONResponse(error.body(), error.status)
        case HTTPException():
            return JSONResponse(ApiError(error.detail, error.status_code).body(), error.status_code, error.headers)
    raise error


class KeyGuard:
    """Refuses /v1 without one of the API keys, as `--api-key` has it."""

    def __init__(self, app: ASGIApp, keys: tuple[str, ...]):
        self._app = app
        self._digests = [hashlib.sha256(key.encode()).digest() for key in keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 401."""
        if scope["type"] != "http" or not scope["path"].startswith("/v1") or self._allowed(scope):
            await self._app(scope, receive, send)
        else:
            await JSONResponse({"error": "Unauthorized"}, 401)(scope, receive, send)

    def _allowed(self, scope: Scope) -> bool:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        scheme, _, key = headers.get(b"authorization", b"").partition(b" ")
        digest = hashlib.sha256(key.strip()).digest()
        return scheme.lower() == b"bearer" and any(hmac.compare_digest(digest, known) for known in self._digests)


def application(settings: Settings, parts: Parts, admin: Admin, created: int) -> ASGIApp:
    """The ASGI application of one engine."""
    api = Api(settings, parts, admin, created)
    keys = settings.flags.api_key or tuple(filter(None, [settings.env.get("VLLM_API_KEY")]))
    app: ASGIApp = Starlette(routes=api.routes(), exception_handlers={ApiError: _refuse, HTTPException: _refuse})
    return KeyGuard(app, keys) if keys else app
