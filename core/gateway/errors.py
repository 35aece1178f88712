"""How does a program learn that something went wrong? In the Claude API's own shape and status."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from django.http import HttpResponse, JsonResponse

from core.claude.errors import ClaudeError
from core.costs.budgets import OverBudgetError
from core.gateway.headers import for_program
from core.hints.logs import request_id as request_id_of_the_log
from core.intake.accept import InvalidInputsError
from core.intake.requests import NotAllowedError
from core.intake.same import AnotherBodyError
from core.intake.storing import UnreadableRequestError
from core.models.away import AWAY
from core.routing.choose import UnknownModelError

log = logging.getLogger(__name__)

# Source: https://platform.claude.com/docs/en/api/errors
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
    502: "api_error",
    503: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}
# The status of an error that Claude named without one: inside a stream, or because no answer came at all.
STATUS_OF_TYPE: Mapping[str, int] = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "timeout_error": 504,
    "overloaded_error": 529,
    "connection_error": 502,
    "incomplete_stream": 502,
}
# What an official SDK reads to know whether to try again.
NO_RETRY = {"x-should-retry": "false"}


class Refusal(Exception):  # noqa: N818 - it is an answer, and no fault of ours
    """A request that gets this error instead of an answer."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = dict(headers or {})


def error_body(kind: str, message: str, request_id: str) -> dict[str, Any]:
    """What the API says, in a body or in an `error` event."""
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": request_id}


def error_response(
    status: int, kind: str, message: str, *, request_id: str = "", headers: Mapping[str, str] | None = None
) -> HttpResponse:
    """An error answer; `kind` is the API's name for it, and without a request id it gets one of ours."""
    known = request_id or new_request_id()
    response = JsonResponse(error_body(kind, message, known), status=status)
    response.headers["request-id"] = known
    for name, value in (headers or {}).items():
        response.headers[name] = value
    return response


def new_request_id() -> str:
    """By which the lines of the log about this request are found."""
    return f"req_{request_id_of_the_log.get() or secrets.token_hex(12)}"


def answer_to(error: Exception) -> HttpResponse:
    """The answer that an exception of ours, or of Claude's, comes to; an unknown one is logged and is a 500."""
    for kind, answer in _ANSWERS.items():
        if isinstance(error, kind):
            return answer(error)
    # Neither key nor body is in the traceback's text.
    log.error("the gateway failed", exc_info=error)
    return error_response(500, "api_error", "Internal server error")


def status_of(error: ClaudeError) -> int:
    """The HTTP status of Claude's error, also where it came in a stream that began with 200, or none came."""
    if error.status is not None and error.status >= 400:
        return error.status
    return STATUS_OF_TYPE.get(error.type, 500)


def type_of(error: ClaudeError) -> str:
    """The error's name in the API's own words; our names for broken connections are no API's."""
    status = status_of(error)
    named_by_claude = error.status is not None or error.type in TYPE_OF_STATUS.values()
    return error.type if named_by_claude else TYPE_OF_STATUS.get(status, "api_error")


def _refused(error: Refusal) -> HttpResponse:
    kind = TYPE_OF_STATUS.get(error.status, "api_error")
    return error_response(error.status, kind, error.message, headers=error.headers)


def _of_claude(error: ClaudeError) -> HttpResponse:
    if error.status == 401:
        # The program's key was in order, or nothing would have been sent.
        log.error("Claude does not accept this server's own key; look at ANTHROPIC_API_KEY")
    request_id = error.request_id or new_request_id()
    response = JsonResponse(body_of(error, request_id), status=status_of(error))
    # What may have been billed is not to be asked for once more without anybody's knowing.
    again = NO_RETRY if error.may_be_billed else {}
    for name, value in {**for_program(error.headers), **again, "request-id": request_id}.items():
        response.headers[name] = value
    return response


def body_of(error: ClaudeError, request_id: str = "") -> dict[str, Any]:
    """Claude's own words where there are any: what it says beside type and message stays."""
    if error.body is not None and error.body.get("type") == "error":
        return error.body
    return error_body(type_of(error), error.message, request_id or error.request_id)


def _simple(status: int) -> Callable[[Exception], HttpResponse]:
    return lambda error: error_response(status, TYPE_OF_STATUS[status], str(error))


def _over_budget(error: OverBudgetError) -> HttpResponse:
    return error_response(402, "billing_error", str(error), headers=NO_RETRY)


def _database_away(error: Exception) -> HttpResponse:
    log.error("the gateway cannot reach the database", exc_info=error)
    return error_response(503, "api_error", "This server cannot reach its database at the moment.")


_ANSWERS: dict[type[Exception], Callable[[Any], HttpResponse]] = {
    Refusal: _refused,
    ClaudeError: _of_claude,
    UnknownModelError: _simple(404),
    NotAllowedError: _simple(403),
    OverBudgetError: _over_budget,
    UnreadableRequestError: _simple(400),
    AnotherBodyError: _simple(422),
    InvalidInputsError: _simple(400),
    **dict.fromkeys(AWAY, _database_away),
}
