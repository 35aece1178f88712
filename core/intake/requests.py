"""How does a Messages request of a program become a Call?"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from core.execution.lease import lease_time
from core.intake.again import Again
from core.intake.kept import Keeping, give_again
from core.intake.storing import New, UnreadableRequestError, store
from core.models import Call, Key, Prompt, User
from core.routing.choose import Plan, UnknownModelError, choose
from core.routing.names import plan_for

# Characters of base64 that are worth keeping with a call; what is longer is named by its size and digest.
MOST_KEPT_DATA = 10_000
# Levels of lists and objects; no request that means something is near it.
DEEPEST = 200
# Tokens, far above what any model writes; what more of them would cost is a sum that no budget can be asked for.
MOST_TOKENS = 10**9


class NotAllowedError(Exception):
    """This key may not use what was asked for."""


@dataclass(frozen=True)
class Asking:
    """Who asks, and how: what a Call says beside its request."""

    user: User | None
    key: Key | None
    door: str
    lane: str
    prompt: Prompt | None = None
    # Of the body as it came.
    digest: str = ""
    # Whether an answer given before does, too.
    keeping: Keeping = field(default_factory=Keeping)
    again: Again | None = None
    # The stamp of what was in force a moment ago, where that was read with the key.
    in_force: str = ""
    # What the request's model leads to, where the caller has looked that up already.
    planned: Plan | None = None


def accept_request(body: Mapping[str, Any], asking: Asking, stored: Mapping[str, Any] | None = None) -> Call:
    """Store a call for this Messages request with what it reserves of its budgets, in one transaction.

    Where somebody waits for the answer, it is stored as claimed by this process: give the object itself to `run_call`.
    A model that is empty becomes the key's own route or the usual name. `stored` is the request as it is kept,
    `kept_form(body)`, where the caller has it already. Raises `UnknownModelError`, `NotAllowedError`, `OverBudgetError`
    and `UnreadableRequestError`.
    """
    planned = asking.planned or _plan(asking.key, str(body["model"]), asking.in_force)
    if not body["model"]:
        named = {"model": planned.asked}
        body, stored = {**body, **named}, None if stored is None else {**stored, **named}
    check_allowed(asking.key, planned.models, asking.prompt)
    fields = _fields(asking, kept_form(body) if stored is None else stored)
    kept = asking.keeping.find()
    if kept is not None:
        return give_again(kept, **fields)
    when = asking.again.when() if asking.again else {}
    call = Call(**fields, **when, routing=planned.as_json(), keep_digest=asking.keeping.digest)
    if asking.lane != Call.Lane.QUEUE:
        _claim(call, body, planned)
    store(New(call, body, planned, asking.again))
    return call


def models_of(key: Key, asked: str) -> tuple[str, ...]:
    """The models that this name may lead to for this key. Raises `UnknownModelError` and `NotAllowedError`."""
    models = _plan(key, asked).models
    check_allowed(key, models)
    return models


def _plan(key: Key | None, asked: str, stamp: str = "") -> Plan:
    if "\x00" in asked:
        # No name has one, and PostgreSQL cannot be asked for it.
        raise UnknownModelError(asked)
    return plan_for(key, asked, stamp)


def _fields(asking: Asking, stored: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "user": asking.user,
        "key": asking.key,
        "door": asking.door,
        "lane": asking.lane,
        "prompt": asking.prompt,
        "request": stored,
        "request_digest": asking.digest,
        "again_of": asking.again and asking.again.of,
    }


def _claim(call: Call, body: Mapping[str, Any], planned: Plan) -> None:
    """Claim it before it is stored, and note that it is sent where its model is sure already: each saves a commit."""
    for name, value in Call.claimed(lease_time()).items():
        setattr(call, name, value)
    call.claimed_here = True
    if planned.version is None:
        choice = choose(call, body)
        call.model, call.reason, call.sent_at = choice.model, choice.reason, call.started_at


def check_allowed(key: Key | None, models: Collection[str], prompt: Prompt | None = None) -> None:
    """Raise `NotAllowedError` unless the key may use all of these models, and the prompt.

    Without a prompt the request is the program's own, which a key that is bound to prompts may not send.
    """
    if key is None:
        return
    allowed = key.models_bound_to()
    if allowed and not allowed.issuperset(models):
        refused = ", ".join(sorted(set(models) - allowed))
        raise NotAllowedError(f"This key may not use the model {refused}.")
    prompts = key.prompts_bound_to()
    if prompts and prompt is None:
        raise NotAllowedError("This key may use certain prompts only, and send no request of its own.")
    if prompts and prompt is not None and prompt.pk not in prompts:
        raise NotAllowedError(f"This key may not use the prompt {prompt.slug}.")


def kept_form(value: Any, depth: int = 0) -> Any:
    """A request as it is kept with its call: storable in every database, and without the bulk of images and files.

    Raises `UnreadableRequestError` where it is nested too deeply.
    """
    if isinstance(value, str):
        return value.replace("\x00", "\ufffd") if "\x00" in value else value
    if depth > DEEPEST:
        raise UnreadableRequestError(f"The request is nested more than {DEEPEST} levels deep.")
    if isinstance(value, dict):
        kept = {kept_form(name): kept_form(item, depth + 1) for name, item in value.items()}
        return _without_bulk(kept) if value.get("type") == "base64" else kept
    if isinstance(value, list):
        return [kept_form(item, depth + 1) for item in value]
    return value


def _without_bulk(source: dict[str, Any]) -> dict[str, Any]:
    data = source.get("data")
    if not isinstance(data, str) or len(data) <= MOST_KEPT_DATA:
        return source
    return {**source, "data": {"omitted": _size(data), "sha256": hashlib.sha256(data.encode()).hexdigest()}}


def _size(data: str) -> int:
    """The bytes that a text of base64 stands for."""
    return len(data) * 3 // 4 - data[-2:].count("=")
