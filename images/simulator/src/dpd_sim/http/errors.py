"""Errors as vLLM words them on the wire."""

from http import HTTPStatus
from typing import Any

_TYPES = {400: "BadRequestError", 401: "AuthenticationError", 404: "NotFoundError", 500: "InternalServerError"}


class ApiError(Exception):
    """An answer that is an error: its status, text and the parameter it is about."""

    def __init__(self, text: str, status: int = 400, param: str | None = None):
        super().__init__(text)
        self.status = status
        self.param = param

    def body(self) -> dict[str, Any]:
        """The OpenAI-shaped error object."""
        kind = _TYPES.get(self.status, HTTPStatus(self.status).phrase.replace(" ", ""))
        return {"error": {"message": str(self), "type": kind, "param": self.param, "code": self.status}}
