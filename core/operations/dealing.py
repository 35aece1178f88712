"""What is done about calls that were given up: they run again, at a pace, or are dismissed?

A call that runs again is a new one that points at the old: it belongs to whoever asked, so that its answer and its cost
go to them, and it reserves its budgets anew. In its transaction the old one leaves the list, so nothing runs twice.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from core.costs.budgets import OverBudgetError
from core.intake.accept import InvalidInputsError, accept, run_again_for_owner
from core.intake.again import Again, NotAgainError, close_letters, resendable
from core.intake.requests import Asking, NotAllowedError, accept_request
from core.intake.storing import UnreadableRequestError
from core.models import BatchRow, Call, Handling, User
from core.models.one_at_a_time import one_at_a_time
from core.routing.choose import UnknownModelError

# Each is stored, and reserves, while somebody waits for the page.
MOST_AT_ONCE = 1000
# A place that is so near is none that anybody has to be told of.
AT_ONCE = dt.timedelta(seconds=1)
# Minutes: what is started later would be better started by somebody who has looked again.
LONGEST_SPREAD = 24 * 60


@dataclass
class Done:
    """How many were started, and for what reasons how many were not."""

    started: int = 0
    last_at: dt.datetime | None = None
    refused: Counter[str] = field(default_factory=Counter)


def run_again(letters: Iterable[Call], *, by: User, per_minute: int | None = None) -> Done:
    """Run these dead letters again, `per_minute` of them a minute, or all at once.

    At a pace each begins after all that were to begin before it, whoever started those: two paces at once would be a
    third one.
    """
    done, began = Done(), timezone.now()
    for call in letters:
        try:
            if per_minute:
                at = _run_in_its_turn(call, by, per_minute)
                done.last_at = at if at > began + AT_ONCE else None
            else:
                run_one_again(call, by=by)
            done.started += 1
        except NotAgainError as error:
            done.refused[str(error)] += 1
    return done


def _run_in_its_turn(call: Call, by: User, per_minute: int) -> dt.datetime:
    """Run one again at the next place in time, and answer that."""
    with one_at_a_time("letters at a pace"):
        now, last = timezone.now(), _last_to_begin()
        at = max(now, last + dt.timedelta(minutes=1 / per_minute)) if last else now
        run_one_again(call, by=by, at=at)
    return at


def run_for_whoever_asked(call: Call, *, by: User) -> Call:
    """Run it again as `by` wishes, be it a dead letter or not; theirs who asked are its answer and its cost.

    Raises what `run_one_again` and `run_again_for_owner` do.
    """
    return run_one_again(call, by=by) if call.dead_since else run_again_for_owner(call, by=by)


def minutes_taken() -> float:
    """For how long those have their turns that were run again at a pace; 0 where none waits for its turn."""
    last, now = _last_to_begin(), timezone.now()
    return max(0.0, (last - now).total_seconds() / 60) if last else 0.0


def _last_to_begin() -> dt.datetime | None:
    """When the last of those begins, or began, that were run again at a pace."""
    placed = Handling.objects.order_by("-starts_at").values_list("starts_at", flat=True)
    now = timezone.now()
    # One that was canceled leaves its turn to others.
    waiting = placed.filter(starts_at__gt=now, fresh__status=Call.Status.WAITING).first()
    return waiting or placed.filter(starts_at__lte=now).first()


def run_one_again(
    call: Call,
    *,
    by: User,
    at: dt.datetime | None = None,
    inputs: Mapping[str, object] | None = None,
    request: Mapping[str, Any] | None = None,
) -> Call:
    """Run a dead letter again as it was, or with other inputs, or as another request where it has no prompt.

    Raises `NotAgainError` with the sentence that says why not, and `InvalidInputsError` for inputs that were given.
    """
    problem = why_not(call, edited=request is not None)
    if problem:
        raise NotAgainError(problem)
    again = Again(call, by, at, only_letters=True)
    try:
        if call.version is not None:
            chosen = call.inputs if inputs is None else inputs
            return accept(call.version, chosen, user=call.user, key=call.key, door=call.door, again=again)
        asking = Asking(call.user, call.key, call.door, Call.Lane.QUEUE, prompt=call.prompt, again=again)
        return accept_request(call.request if request is None else request, asking)
    except InvalidInputsError as error:
        if inputs is not None:
            raise
        raise NotAgainError("What was filled in does not fit the prompt any more.") from error
    except OverBudgetError as error:
        raise NotAgainError(f"Over budget. {error}") from error
    except UnknownModelError as error:
        raise NotAgainError("Its model is not known here any more.") from error
    except (NotAllowedError, UnreadableRequestError) as error:
        raise NotAgainError(str(error)) from error


def why_not(call: Call, *, edited: bool = False) -> str:
    """Why a dead letter cannot run again, in a sentence; empty where nothing speaks against it."""
    return next((sentence for speaks_against, sentence in _OBSTACLES if speaks_against(call, edited)), "")


def dismiss(letters: QuerySet[Call], *, by: User, note: str) -> int:
    """Take dead letters off the list, with a note why; answers how many."""
    return close_letters(letters, by=by, how=Handling.How.DISMISSED, note=note)


_OBSTACLES: list[tuple[Callable[[Call, bool], bool], str]] = [
    (lambda call, _: call.pruned_at is not None, "Its contents were removed for their age."),
    (lambda call, _: call.door == Call.Door.CHAT, "It belongs to a conversation, where it can be asked again."),
    (
        lambda call, _: BatchRow.objects.filter(pk=call.pk).exists(),
        "It is a row of a table or a batch, whose page runs all rows without an answer again.",
    ),
    (lambda call, _: call.user is not None and not call.user.is_active, "Whoever asked may not sign in any more."),
    (lambda call, _: call.key is not None and not call.key.usable(timezone.now()), "Its key opens nothing any more."),
    (
        lambda call, edited: not edited and call.version_id is None and not resendable(call.request),
        "Its images or files were not kept, so it cannot be sent again.",
    ),
]
