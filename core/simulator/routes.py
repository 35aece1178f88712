"""Which function answers which path?"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from core.simulator.catalogue import find_model, list_models
from core.simulator.connection import Connection
from core.simulator.errors import ApiError, not_found
from core.simulator.messages import count_tokens, create_message
from core.simulator.organisation import cost
from core.simulator.requests import Reply, Request
from core.simulator.state import State

Route = Callable[..., Any]
OWN_PAGES = "/_simulator"


def _status(state: State, _request: Request) -> Reply:
    state.batches.settle_all(state)
    entries = len(state.bill.as_json()["entries"])
    return Reply({"simulator": True, "pace": state.pace, "billed_exchanges": entries})


def _bill(state: State, _request: Request) -> Reply:
    state.batches.settle_all(state)
    return Reply(state.bill.as_json())


def _clear(state: State, request: Request) -> Reply:
    state.batches.settle_all(state)
    state.clear()
    return _bill(state, request)


def _differences(state: State, _request: Request) -> Reply:
    return Reply({"differences": [planted.as_json() for planted in state.differences.all()]})


def _plant(state: State, request: Request) -> Reply:
    state.differences.plant(request.json())
    return _differences(state, request)


def _report_the_bill(state: State, request: Request) -> Reply:
    state.differences.clear()
    return _differences(state, request)


def _models(_state: State, request: Request) -> Reply:
    return Reply(list_models(request.query))


def _model(_state: State, _request: Request, model_id: str) -> Reply:
    return Reply(find_model(model_id).as_json())


def _create_batch(state: State, request: Request) -> Reply:
    return Reply(state.batches.create(state, request))


def _list_batches(state: State, request: Request) -> Reply:
    return Reply(state.batches.list(state, request))


def _batch(state: State, request: Request, batch_id: str) -> Reply:
    return Reply(state.batches.retrieve(state, request, batch_id))


def _cancel_batch(state: State, request: Request, batch_id: str) -> Reply:
    return Reply(state.batches.cancel(state, request, batch_id))


def _delete_batch(state: State, request: Request, batch_id: str) -> Reply:
    return Reply(state.batches.delete(state, request, batch_id))


def _batch_results(state: State, request: Request, batch_id: str) -> Reply:
    return Reply(state.batches.results(state, request, batch_id), content_type="application/x-jsonl")


# `{}` stands for one part of the path and is handed to the function.
ROUTES: Mapping[tuple[str, str], Route] = {
    ("POST", "/v1/messages"): create_message,
    ("POST", "/v1/messages/count_tokens"): count_tokens,
    ("POST", "/v1/messages/batches"): _create_batch,
    ("GET", "/v1/messages/batches"): _list_batches,
    ("GET", "/v1/messages/batches/{}"): _batch,
    ("DELETE", "/v1/messages/batches/{}"): _delete_batch,
    ("POST", "/v1/messages/batches/{}/cancel"): _cancel_batch,
    ("GET", "/v1/messages/batches/{}/results"): _batch_results,
    ("GET", "/v1/models"): _models,
    ("GET", "/v1/models/{}"): _model,
    ("GET", "/v1/organizations/analytics/cost"): cost,
    ("GET", OWN_PAGES): _status,
    ("GET", f"{OWN_PAGES}/bill"): _bill,
    ("DELETE", f"{OWN_PAGES}/bill"): _clear,
    ("GET", f"{OWN_PAGES}/differences"): _differences,
    ("POST", f"{OWN_PAGES}/differences"): _plant,
    ("DELETE", f"{OWN_PAGES}/differences"): _report_the_bill,
}
PATTERNS = [(method, re.compile(path.replace("{}", "([^/]+)")), route) for (method, path), route in ROUTES.items()]
PLAY_THEIR_OWN_ANSWER = (create_message,)  # they may be slow, stream, or break the connection


def answer(state: State, request: Request, connection: Connection) -> Reply | None:
    """The reply to a request, or None if it was sent already; raises `ApiError` for what is refused."""
    if not request.path.startswith(OWN_PAGES):
        request.check_credentials()
        state.limits.charge(request.key, requests=1)
        request.limits = state.limits.headers(request.key)
    route, parts = find_route(request.method, request.path.rstrip("/"))
    if route in PLAY_THEIR_OWN_ANSWER:
        route(state, request, connection)
        return None
    reply: Reply = route(state, request, *parts)
    return reply


def find_route(method: str, path: str) -> tuple[Route, tuple[str, ...]]:
    """The function for a path and the variable parts of the path; 404 or 405 if there is none."""
    found = [
        (allowed, route, match.groups()) for allowed, pattern, route in PATTERNS if (match := pattern.fullmatch(path))
    ]
    if not found:
        raise not_found("Not found")
    for allowed, route, parts in found:
        if allowed == method:
            return route, parts
    raise ApiError(405, "Method Not Allowed", headers={"Allow": ", ".join(sorted(entry[0] for entry in found))})
