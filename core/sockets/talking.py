"""What does a frame come to: which exchange of which conversation, and how did it end?

Plain functions that ask the database, each with a connection of its own that is given back at once.
"""

from __future__ import annotations

import functools
import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.db import Error, connection
from django.http import HttpRequest

from core.chat import ending, say, window
from core.chat.choices import system_prompts_offered
from core.chat.errors import ChatError
from core.chat.say import Message
from core.costs.budgets import OverBudgetError
from core.intake import limits
from core.intake.limits import OverLimitError, Standing
from core.intake.requests import NotAllowedError
from core.intake.storing import UnreadableRequestError
from core.models import Conversation, CostRecord, Turn
from core.models.chat import ConversationQuerySet
from core.routing.choose import UnknownModelError
from core.sockets.entry import Caller, StrangerError, caller_of
from core.sockets.frames import Command, UnreadableError

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")
LONGEST_NAME = 120


class MissingError(LookupError):
    """There is no such conversation or exchange, or it is somebody else's."""


# What a client is told a refusal is, in the Claude API's words.
KINDS: dict[type[Exception], str] = {
    UnreadableError: "invalid_request_error",
    ChatError: "invalid_request_error",
    UnreadableRequestError: "invalid_request_error",
    MissingError: "not_found_error",
    UnknownModelError: "not_found_error",
    NotAllowedError: "permission_error",
    StrangerError: "authentication_error",
    OverBudgetError: "billing_error",
    OverLimitError: "rate_limit_error",
}


@dataclass(frozen=True)
class Said:
    """An exchange under way, and what its key's limits have counted for it."""

    turn: int
    call: uuid.UUID
    conversation: uuid.UUID
    standing: Standing


@dataclass(frozen=True)
class Wishes:
    """What the socket's address asks for."""

    conversation: uuid.UUID | None = None
    model: str = ""
    system: str = ""


def in_a_thread(function: Callable[P, T]) -> Callable[P, Any]:
    """The function for an event loop; the connection it used is given back."""

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        finally:
            if not connection.in_atomic_block:
                connection.close()

    return sync_to_async(wrapped, thread_sensitive=False)


def wishes_of(request: HttpRequest) -> Wishes:
    """Raises `MissingError` where a conversation is named that cannot be one."""
    named = request.GET.get("conversation", "")
    try:
        conversation = uuid.UUID(named) if named else None
    except ValueError as error:
        raise MissingError("There is no such conversation.") from error
    model, system = (request.GET.get(name, "").replace("\x00", "")[:LONGEST_NAME] for name in ("model", "system"))
    return Wishes(conversation, model, system)


@in_a_thread
def enter(request: HttpRequest) -> uuid.UUID:
    """Let somebody in: the conversation that the socket is for, which may be one that nothing was said in yet.

    An id that nobody knows is that of such a one: its first message may have been lost on the way.

    Raises `StrangerError` and `MissingError`.
    """
    caller, wishes = caller_of(request), wishes_of(request)
    if wishes.conversation is None:
        return uuid.uuid4()
    if Conversation.objects.filter(pk=wishes.conversation).exists():
        _find(caller, wishes.conversation)
    return wishes.conversation


@in_a_thread
def may_stay(request: HttpRequest) -> bool:
    """Whether whoever opened the socket could open it now; who cannot be asked for at this moment may stay."""
    try:
        caller_of(request)
    except StrangerError:
        return False
    except Error as error:
        log.warning("nobody knows who may stay at a socket: %s", error)
    return True


@in_a_thread
def speak(request: HttpRequest, conversation_id: uuid.UUID, command: Command) -> Said:
    """The exchange that a command begins, or that it began before; then nothing counts any more.

    Raises the exceptions in `KINDS`; nothing was sent then, and nothing counts toward the key's limits.
    """
    caller, wishes = caller_of(request), wishes_of(request)
    conversation = _own(caller).filter(pk=conversation_id).first()
    earlier = conversation.turns.filter(token=command.token).first() if conversation and command.token else None
    if earlier is not None:
        return Said(earlier.pk, earlier.call_id, earlier.conversation_id, Standing())
    standing = _counted(caller, conversation, command)
    try:
        turn = _exchange(caller, wishes, conversation_id, conversation, command)
    except Exception:
        limits.give(standing, 0)
        raise
    return Said(turn.pk, turn.call_id, turn.conversation_id, standing)


@in_a_thread
def find(request: HttpRequest, conversation_id: uuid.UUID, turn: int | None) -> Said | None:
    """An exchange to be heard once more, the newest where none is named; None where nothing was said yet."""
    found = _own(caller_of(request)).filter(pk=conversation_id).first()
    turns = Turn.objects.filter(conversation=found) if found else Turn.objects.none()
    wanted = turns.filter(pk=turn).first() if turn is not None else turns.order_by("-pk").first()
    if wanted is None and turn is not None:
        raise MissingError("There is no such exchange in this conversation.")
    return Said(wanted.pk, wanted.call_id, wanted.conversation_id, Standing()) if wanted else None


@in_a_thread
def stop(request: HttpRequest, conversation_id: uuid.UUID) -> bool:
    """Stop what is being written in this conversation; False where that cannot be done now."""
    running = Turn.objects.filter(conversation=_find(caller_of(request), conversation_id)).select_related("call")
    return all(ending.stop(turn.call) for turn in running.order_by("-pk")[:1])


@in_a_thread
def outcome(said: Said) -> dict[str, Any]:
    """How an exchange ended, once its call has; its key's limits count what it really used."""
    turn = Turn.objects.filter(pk=said.turn).select_related("call").prefetch_related("call__cost_records").first()
    if turn is None:
        return {"turn": said.turn, "call": str(said.call), "status": "gone", "text": "", "error": None}
    call, cost = turn.call, turn.call.cost
    records = list(call.cost_records.all())
    limits.give(said.standing, sum(_tokens(record) for record in records))
    fault = {"type": call.error_type or "api_error", "message": call.error_message or f"This answer is {call.status}."}
    return {
        "turn": turn.pk,
        "call": str(call.pk),
        "status": call.status,
        "text": call.text,
        "model": call.model or None,
        "stop_reason": call.stop_reason or None,
        "tokens": sum(_tokens(record) for record in records),
        "cost_usd": None if cost is None else f"{cost.normalize():f}",
        "error": None if call.status == call.Status.SUCCEEDED else fault,
    }


def _exchange(
    caller: Caller, wishes: Wishes, conversation_id: uuid.UUID, found: Conversation | None, command: Command
) -> Turn:
    message = Message(command.text, token=command.token, leave_out=caller.key is not None)
    if command.kind in {"again", "edit"}:
        turn = _turn(found, command.turn)
        return say.again(turn, command.token) if command.kind == "again" else say.edit(turn, message)
    if found is not None:
        parent = _turn(found, command.turn) if command.turn else found.turns.order_by("-pk").first()
        return say.say(found, parent, message)
    if Conversation.objects.filter(pk=conversation_id, deleted_at__isnull=False).exists():
        raise MissingError("This conversation was deleted.")
    system = system_prompts_offered().filter(name=wishes.system).first() if wishes.system else None
    if wishes.system and system is None:
        raise MissingError(f"There is no system prompt «{wishes.system}» that chats may use.")
    version = system.current_version() if system else None
    return say.begin(caller.user, caller.key, message, wishes.model, version, identity=conversation_id)


def _counted(caller: Caller, conversation: Conversation | None, command: Command) -> Standing:
    """Toward the limits of the key counts all that is sent again, about."""
    if caller.key is None:
        return Standing()
    last = conversation.turns.order_by("-pk").first() if conversation else None
    before = window.sent_with(last) if last else 0
    return limits.take(caller.key, before + window.of_message(command.text, ()))


def _own(caller: Caller) -> ConversationQuerySet:
    if caller.key is not None:
        return Conversation.objects.of_key(caller.key)
    return Conversation.objects.of_person(caller.user)


def _find(caller: Caller, conversation_id: uuid.UUID) -> Conversation:
    found = _own(caller).filter(pk=conversation_id).first()
    if found is None:
        raise MissingError("There is no such conversation, or it is not yours.")
    return found


def _turn(found: Conversation | None, number: int | None) -> Turn:
    turns = Turn.objects.filter(conversation=found) if found else Turn.objects.none()
    turn = turns.select_related("call", "parent", "conversation").filter(pk=number or 0).first()
    if turn is None:
        raise MissingError("There is no such exchange in this conversation.")
    return turn


def _tokens(record: CostRecord) -> int:
    counts = [record.input_tokens, record.output_tokens, record.cache_read_tokens]
    return sum(count or 0 for count in [*counts, record.cache_write_5m_tokens, record.cache_write_1h_tokens])
