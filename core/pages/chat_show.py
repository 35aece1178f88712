"""What does the page of a chat show?"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from django.db.models import prefetch_related_objects
from django.http import HttpRequest

from core.chat import window
from core.chat.choices import models_offered, name_of, system_prompts_offered
from core.chat.files import KINDS, MOST_FILES
from core.chat.requests import context_of
from core.chat.tree import Tree, tree_of, turns_at
from core.chat.window import Room
from core.live.channel import text_so_far
from core.models import Call, Conversation, CostRecord, Turn
from core.pages import answers, words
from core.pages.answers import Answer
from core.routing.choose import UnknownModelError
from core.routing.names import plan_for, usual

# Chats that the list beside the page shows.
LISTED = 30
# What to do now in a chat, where elsewhere a prompt would have to be edited.
_NOW = {
    "not_found_error": "Choose another model under «Settings».",
    "invalid_request_error": "What Claude said tells what to change: «Edit» changes your message and its files.",
    "request_too_large": "Leave out a file, or start a new chat.",
    "timeout_error": "Try again, or ask for something shorter.",
    "incomplete_stream": "Try again.",
    "worker_lost": "Try again.",
}


@dataclass(frozen=True)
class Bill:
    """What some exchanges came to: `amount` in USD of those that are known, `unknown` counts the others."""

    amount: Decimal
    exchanges: int
    unknown: int
    read: int
    from_cache: int
    written: int

    @classmethod
    def of(cls, records: Sequence[CostRecord]) -> Bill:
        corrected = {record.corrects_id for record in records}
        return cls(
            amount=sum((record.amount for record in records if record.amount is not None), Decimal(0)),
            exchanges=sum(record.corrects_id is None for record in records),
            unknown=sum(record.amount is None and record.pk not in corrected for record in records),
            read=sum(_input(record) for record in records),
            from_cache=sum(record.cache_read_tokens or 0 for record in records),
            written=sum(record.output_tokens or 0 for record in records),
        )


@dataclass(frozen=True)
class Shown:
    """One exchange as the page shows it."""

    turn: Turn
    state: str
    explained: str
    text: str
    answer: Answer | None
    bill: Bill
    # Its place among the answers and words beside it, from 1 on, and its neighbours there.
    place: int
    of: int
    before: int | None
    after: int | None
    # Whether what is above is not sent any more from here on.
    left_out_above: bool = False

    @property
    def call(self) -> Call:
        return self.turn.call

    @property
    def fault(self) -> words.Fault | None:
        found = words.fault_of(self.call)
        now = _NOW.get(self.call.error_type)
        return replace(found, now=now) if found and now else found

    @property
    def heard(self) -> str:
        return words.heard(self.call.error_type)

    @property
    def stop(self) -> words.Fault | None:
        return words.stop_of(self.call)

    @property
    def is_summary(self) -> bool:
        return self.turn.kind == Turn.Kind.SUMMARY

    @property
    def is_lost(self) -> bool:
        """Ended without a word, so that it is not sent on."""
        return self.call.finished and not self.turn.answered and not self.is_removed

    @property
    def is_removed(self) -> bool:
        """Older than contents are kept."""
        return self.call.pruned_at is not None


def page(request: HttpRequest, conversation: Conversation, wanted: int | None = None, **more: Any) -> dict[str, Any]:
    """All that the page shows; `wanted` names an exchange whose branch is to be shown instead of the newest."""
    tree = tree_of(conversation)
    turns = turns_at(tree.branch(wanted) if wanted in tree.parents else tree.path(tree.newest))
    prefetch_related_objects(turns, "call__cost_records")
    last = turns[-1] if turns else None
    return {
        **_beside(request, conversation),
        "newest": tree.newest,
        "shown": [shown(turn, tree, turns) for turn in turns],
        "last": last,
        "running": any(not turn.call.finished for turn in turns),
        "state_words": {status: glance for status, (glance, _) in words.STATES.items()},
        **facts(conversation, turns),
        **composer(conversation),
        **more,
    }


def blank(request: HttpRequest, **more: Any) -> dict[str, Any]:
    """The page of a chat that has not begun."""
    return {**_beside(request, None), **composer(None), **more}


def facts(conversation: Conversation, turns: Sequence[Turn]) -> dict[str, Any]:
    """How full the chat is, and what it cost, all its branches together."""
    spent = CostRecord.objects.filter(call__turn__conversation=conversation)
    system = conversation.system.text if conversation.system else ""
    since = turns[-1].since_id if turns else None
    context = context_of(turns, since)
    room = _room(conversation)
    filled = window.window_of(context, room, system, since) if room else None
    return {
        "spent": Bill.of(list(spent)),
        "exchanges": conversation.turns.count(),
        "window": filled,
        "cut_to": window.DOWN_TO,
        "nearly_full": bool(filled and context and (filled.nearly_full or window.too_long(turns[-1]))),
    }


def shown(turn: Turn, tree: Tree, turns: Sequence[Turn] = ()) -> Shown:
    call = turn.call
    state, explained = words.STATES[call.status]
    beside = list(tree.beside(turn.pk))
    at = beside.index(turn.pk)
    text = call.text if call.finished else text_so_far(call.pk)
    return Shown(
        turn=turn,
        state="Stopped" if call.status == Call.Status.CANCELED else Call.HELD if call.parked else state,
        explained=explained,
        text=text,
        answer=answers.shown(text) if call.finished else None,
        bill=Bill.of(list(call.cost_records.all())),
        place=at + 1,
        of=len(beside),
        before=beside[at - 1] if at else None,
        after=beside[at + 1] if at + 1 < len(beside) else None,
        left_out_above=bool(turns) and turns[-1].since_id == turn.pk and turns[0].pk != turn.pk,
    )


def composer(conversation: Conversation | None) -> dict[str, Any]:
    """What the form for the next message needs."""
    return {
        "token": new_token(),
        "models": models_offered(),
        "systems": list(system_prompts_offered()),
        "asked": (conversation.asked if conversation else "") or usual(),
        "asked_name": name_of(conversation.asked) if conversation else "",
        "kinds": KINDS,
        "most_files": MOST_FILES,
    }


def new_token() -> str:
    """Names what a form sends, so that sending it twice says it once."""
    return secrets.token_urlsafe(16)


def _beside(request: HttpRequest, conversation: Conversation | None) -> dict[str, Any]:
    mine = Conversation.objects.of_person(request.user)
    listed = list(mine[: LISTED + 1])
    return {"conversation": conversation, "conversations": listed[:LISTED], "more_conversations": len(listed) > LISTED}


def _room(conversation: Conversation) -> Room | None:
    try:
        return window.room_of(plan_for(conversation.key, conversation.asked))
    except UnknownModelError:
        return None


def _input(record: CostRecord) -> int:
    counts = (
        record.input_tokens,
        record.cache_write_5m_tokens,
        record.cache_write_1h_tokens,
        record.cache_read_tokens,
    )
    return sum(count or 0 for count in counts)
