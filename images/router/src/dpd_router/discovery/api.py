"""The Kubernetes API as far as the router needs it: GET, with the token of the pod's service account.

A client library would bring 40 MB of models along for two requests.
"""

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp

from dpd_router.discovery.targets import Api

CONNECT_SECONDS = 5.0


class ApiError(Exception):
    """The API server answered, and not with what was asked for."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


@asynccontextmanager
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """Yield what connections are kept in. No proxy of the environment is asked: the API server is next door."""
    async with aiohttp.ClientSession(trust_env=False, auto_decompress=True) as made:
        yield made


@asynccontextmanager
async def get(
    client: aiohttp.ClientSession, api: Api, path: str, query: Mapping[str, str], silence: float
) -> AsyncIterator[aiohttp.ClientResponse]:
    """Yield a good answer to a GET; `silence` is how many seconds may pass between two of its pieces.

    Raises ApiError, OSError, TimeoutError and aiohttp.ClientError.
    """
    token = api.token_file.read_text(encoding="ascii").strip()
    context = ssl.create_default_context(cafile=api.ca_file)
    timeout = aiohttp.ClientTimeout(total=None, connect=CONNECT_SECONDS, sock_read=silence)
    headers = {"authorization": f"Bearer {token}", "accept": "application/json"}
    async with client.get(api.server + path, params=query, headers=headers, ssl=context, timeout=timeout) as answer:
        if answer.status != 200:
            raise ApiError(answer.status, (await answer.text())[:500])
        try:
            yield answer
        except BaseException:
            _abort(answer)
            raise


def _abort(answer: aiohttp.ClientResponse) -> None:
    """Close the connection of an answer that is broken off: nobody is left to wait for an orderly end of TLS."""
    connection = answer.connection
    if connection is not None and connection.transport is not None:
        connection.transport.abort()
