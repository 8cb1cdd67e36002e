"""Beside the second stage: the name of the session a request belongs to, if it says so anywhere it is looked for."""

from dpd_router.types import Body, Headers, Request, SessionKeys

MAX_LENGTH = 1024


def session(request: Request, keys: SessionKeys) -> str:
    """Return the session's name: the header's, else the body's `user`, else the cookie's; empty when there is none."""
    name = _header(request.headers, keys.header) or (_user(request.body) if keys.user else "")
    return (name or _cookie(request.headers, keys.cookie))[:MAX_LENGTH]


def _header(headers: Headers, name: str) -> str:
    if not name:
        return ""
    wanted = name.lower().encode()
    return next((value.decode("latin-1").strip() for given, value in headers if given.lower() == wanted), "")


def _user(body: Body) -> str:
    match body.get("user"):
        case str() as user:
            return user
        case _:
            return ""


def _cookie(headers: Headers, name: str) -> str:
    if not name:
        return ""
    pairs = (part.partition("=") for part in _header(headers, "cookie").split(";"))
    return next((value.strip().strip('"') for given, _, value in pairs if given.strip() == name), "")
