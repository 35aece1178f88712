"""How does the Claude API say no?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# https://platform.claude.com/docs/en/api/errors
TYPE_OF_STATUS: Mapping[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    422: "invalid_request_error",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}

STATUS_OF_TYPE: Mapping[str, int] = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}

MESSAGE_OF_TYPE: Mapping[str, str] = {
    "authentication_error": "invalid x-api-key",
    "rate_limit_error": "This request would exceed your organization's rate limit.",
    "overloaded_error": "Overloaded",
    "api_error": "Internal server error",
    "timeout_error": "The request timed out.",
    "request_too_large": "Request exceeds the maximum size",
}


def error_type(status: int) -> str:
    """The `error.type` that belongs to an HTTP status."""
    return TYPE_OF_STATUS.get(status, "api_error" if status >= 500 else "invalid_request_error")


class ApiError(Exception):
    """An answer that is not 200, in the shape of the real API."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        type: str | None = None,  # noqa: A002 - the API's own word
        headers: Mapping[str, str] | None = None,
        error_code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.type = type or error_type(status)
        self.headers = dict(headers or {})
        self.error_code = error_code

    def body(self, request_id: str | None) -> dict[str, Any]:
        """The JSON of the answer (or of an `error` event)."""
        error: dict[str, Any] = {"type": self.type, "message": self.message}
        if self.error_code:
            error["details"] = {"error_code": self.error_code}
        return {"type": "error", "error": error, "request_id": request_id}


def invalid(message: str) -> ApiError:
    """A 400 `invalid_request_error`."""
    return ApiError(400, message)


def not_found(message: str) -> ApiError:
    """A 404 `not_found_error`."""
    return ApiError(404, message)
