"""How does a filled-in form become a Call: validated, rendered, stored, and then put into the queue?"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from django.db import transaction
from django.utils import timezone

from core.execution.fallbacks import chain_of, with_fallbacks
from core.intake.again import Again, NotAgainError
from core.intake.kept import Keeping, for_prompt, give_again
from core.intake.requests import NotAllowedError, check_allowed
from core.jobs.dispatch import dispatch
from core.models import Call, Key, PromptVersion, User
from core.prompts.rendering import render, specs
from core.prompts.variables import UnusableError
from core.routing.choose import Plan, UnknownModelError, plan
from core.routing.reserving import reserve


class InvalidInputsError(ValueError):
    """Inputs that cannot be sent; `problems` maps each variable to a sentence for whoever typed it."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {problem}" for name, problem in problems.items()))
        self.problems = dict(problems)


def clean_inputs(version: PromptVersion, raw: Mapping[str, object]) -> dict[str, str]:
    """The text for each variable of `version`. Raises `InvalidInputsError` with all problems at once."""
    cleaned: dict[str, str] = {}
    problems: dict[str, str] = {}
    for spec in specs(version.content()):
        try:
            cleaned[spec.name] = spec.clean(raw.get(spec.name))
        except UnusableError as error:
            problems[spec.name] = str(error)
    if problems:
        raise InvalidInputsError(problems)
    return cleaned


def accept(
    version: PromptVersion,
    raw: Mapping[str, object],
    *,
    user: User | None,
    door: str = Call.Door.FORM,
    again: Again | None = None,
    lane: str = Call.Lane.QUEUE,
    key: Key | None = None,
) -> Call:
    """Store a call with what it reserves of its budgets; one for the queue goes there once that is committed.

    Where the prompt keeps answers, and this was asked before, the call has that answer at once and costs nothing.
    Raises `InvalidInputsError`, `OverBudgetError` where a budget has no room for its worst case, and `NotAllowedError`
    where the key may not use the prompt or its model, and what `Again.note` raises.
    """
    inputs = clean_inputs(version, raw)
    planned = plan_of(version)
    request = {**render(version.content(), inputs), "model": planned.asked}
    check_allowed(key, planned.models, version.prompt)
    # Who runs something once more wants another answer, and who tries a draft wants the model's own.
    fresh = again is not None or door == Call.Door.TRY
    keeping = Keeping() if fresh else for_prompt(version.prompt, user, request)
    fields = {
        "user": user,
        "door": door,
        "lane": lane,
        "key": key,
        "prompt_id": version.prompt_id,
        "version": version,
        "inputs": inputs,
        "request": request,
        "again_of": again and again.of,
    }
    kept = keeping.find()
    if kept is not None:
        return give_again(kept, **fields)
    with transaction.atomic():
        routing = planned.as_json() if planned.names else None
        when = again.when() if again else {}
        call = Call.objects.create(**fields, **when, routing=routing, keep_digest=keeping.digest)
        if again:
            # Before the windows are: it locks the call that it is another try of.
            again.note(call)
        reserve(call, planned, with_fallbacks(planned, chain_of(key, version.prompt)))
        if lane == Call.Lane.QUEUE and call.status == Call.Status.QUEUED:
            transaction.on_commit(partial(dispatch, call.pk))
    return call


def plan_of(version: PromptVersion) -> Plan:
    """What the version's route or alias can lead to; its own model where that cannot be followed."""
    asked = version.content().get("asked")
    fixed = Plan(version.model_id, (version.model_id,))
    if not asked:
        return fixed
    try:
        return plan(asked)
    except UnknownModelError:
        return fixed


def run_again(call: Call, *, user: User | None) -> Call:
    """The same request once more, as a call of `user`'s own.

    Raises `InvalidInputsError`, `OverBudgetError`, `NotAgainError` for a call without contents, and ValueError for one
    without a version.
    """
    return _again(call, user, None, by=user)


def run_again_for_owner(call: Call, *, by: User) -> Call:
    """The same request once more, as `by` wishes, for whoever asked: theirs is its answer, and theirs and their key's
    are its cost, its budgets and its limits (decision 0101).

    Raises what `run_again` does, and `NotAgainError` where the person or the key may ask for nothing any more.
    """
    if call.user is not None and not call.user.is_active:
        raise NotAgainError("Whoever asked may not sign in any more.")
    if call.key is not None and not call.key.usable(timezone.now()):
        raise NotAgainError("Its key opens nothing any more.")
    try:
        return _again(call, call.user, call.key, by=by)
    except NotAllowedError as error:
        raise NotAgainError(str(error)) from error


def _again(call: Call, user: User | None, key: Key | None, *, by: User | None) -> Call:
    if call.pruned_at is not None:
        raise NotAgainError("Its contents were removed for their age.")
    if call.version is None:
        raise ValueError(f"call {call.pk} has no prompt version to run again")
    return accept(call.version, call.inputs, user=user, key=key, door=call.door, again=Again(call, by))
