"""How does the plain API say that something went wrong? As all of the gateway does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError

from core.gateway.errors import Refusal, answer_to
from core.gateway.plain.shapes import Fault
from core.intake.by_name import NoSuchPromptError

# Stands for all faults where an address is described: of each status that ninja is told of, it makes a model, which for
# all of them at each address took longer than to import the rest of the gateway. Faults are no operation's answers.
ANY_FAULT = 400
# pydantic's lead, which says nothing to whoever wrote the request.
_LEAD = "Value error, "


def responses(status: int, shape: Any) -> dict[Any, Any]:
    """What an address answers, for the description: its own shape, and faults."""
    return {status: shape, ANY_FAULT: Fault}


def told_in_our_shape(api: NinjaAPI) -> None:
    """Let whatever goes wrong in an operation of `api` be answered in the API's shape."""
    kinds: list[type[Exception]] = [Exception, *_REFUSALS]
    for kind in kinds:
        api.add_exception_handler(kind, _answer)


def _answer(_request: HttpRequest, error: Any) -> HttpResponse:
    for kind, refusal in _REFUSALS.items():
        if isinstance(error, kind):
            return answer_to(refusal(error))
    return answer_to(error)


def _http(error: HttpError) -> Refusal:
    """Ninja's own errors; a body that could not be read carries what we said of it."""
    cause = error.__cause__
    return cause if isinstance(cause, Refusal) else Refusal(error.status_code, error.message)


def _invalid(error: ValidationError) -> Refusal:
    return Refusal(400, "; ".join(_sentence(each) for each in error.errors))


def _sentence(problem: dict[str, Any]) -> str:
    """`system: Input should be a valid string`: where it is, and what is wrong."""
    # Where ninja found it comes first, and for a body our function's parameter, which is no name of the caller's.
    source, *path = problem["loc"]
    where = ".".join(str(part) for part in (path[1:] if source == "body" else path))
    what = str(problem["msg"]).removeprefix(_LEAD)
    return f"{where}: {what}" if where else what


_REFUSALS: dict[type[Exception], Callable[[Any], Refusal]] = {
    ValidationError: _invalid,
    HttpError: _http,
    NoSuchPromptError: lambda error: Refusal(404, str(error)),
    Http404: lambda error: Refusal(404, str(error) or "Not found"),
}
