"""How full is a conversation, and where is it cut when it is too full?

The model reads the whole conversation again with each message, and it can hold so many tokens and no more.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from core.chat.files import LARGEST_REQUEST, MOST_IMAGES, tokens_of_text
from core.chat.requests import LONGEST_ANSWER
from core.models import Attachment, ClaudeModel, CostRecord, Turn
from core.routing.choose import Plan

# What a message weighs beside its text, and a model whose window nobody knows.
OVERHEAD, UNKNOWN_WINDOW = 20, 200_000
# Percent from which on a person is told, and to which leaving out the oldest brings it down.
TELL, DOWN_TO = 75, 50


@dataclass(frozen=True)
class Room:
    """What a name's models can hold and write, in tokens: the least of what it may lead to."""

    longest_input: int = UNKNOWN_WINDOW
    longest_answer: int = LONGEST_ANSWER


@dataclass(frozen=True)
class Window:
    """How much of the window the conversation fills before the next message. `counted`: Claude said so itself."""

    tokens: int
    longest: int
    counted: bool = False

    @property
    def percent(self) -> int:
        return min(100, math.ceil(100 * self.tokens / self.longest))

    @property
    def nearly_full(self) -> bool:
        return self.percent >= TELL


def room_of(planned: Plan) -> Room:
    limits = ClaudeModel.objects.filter(pk__in=planned.models).values_list("max_input_tokens", "max_tokens")
    inputs = [most for most, _ in limits if most]
    answers = [most for _, most in limits if most]
    return Room(min(inputs, default=UNKNOWN_WINDOW), min([LONGEST_ANSWER, *answers]))


def window_of(context: Sequence[Turn], room: Room, system: str = "", since: int | None = None) -> Window:
    """As Claude counted it for the last answer, where that was sent with the same beginning; else about.

    `since`, as of the turn to come: what was left out after that answer is not sent any more.
    """
    counted = _counted(context[-1]) if context and context[-1].since_id == since else None
    about = tokens_of(context, system)
    return Window(counted or about, room.longest_input, counted is not None)


def tokens_of(context: Iterable[Turn], system: str = "") -> int:
    """About how many tokens these exchanges are, counted here without asking anybody."""
    return tokens_of_text(system) + sum(_of_turn(turn) for turn in context)


def sent_with(last: Turn) -> int:
    """About how many tokens the message after this one sends again: as Claude counted for it, or its own."""
    return _counted(last) or _of_turn(last)


def of_message(text: str, attachments: Iterable[Attachment]) -> int:
    return OVERHEAD + tokens_of_text(text) + sum(attachment.tokens for attachment in attachments)


def too_long(turn: Turn) -> bool:
    """Whether Claude refused this exchange for its length; our own count is only about right."""
    return turn.call.error_type == "invalid_request_error" and "too long" in turn.call.error_message


def too_many_files(context: Iterable[Turn], attachments: Iterable[Attachment]) -> bool:
    """Whether what goes along with the message is more than one request may hold, all files sent again included."""
    files = [*attachments, *(each for turn in context for each in turn.attachments.all())]
    return sum(file.size for file in files) > LARGEST_REQUEST or sum(file.is_image for file in files) > MOST_IMAGES


def cut(context: Sequence[Turn], longest: int, *, without_files: bool = False) -> list[Turn]:
    """The newest of these exchanges, so that half of `longest` is free; a summary of what was before stays.

    Half and not just enough: each cut makes the cache begin anew, so there should be few of them. `without_files`: from
    the newest exchange on that has any, all goes.
    """
    exchanges = [turn for turn in context if turn.kind != Turn.Kind.SUMMARY]
    kept: list[Turn] = []
    tokens = 0
    for turn in reversed(exchanges):
        tokens += _of_turn(turn)
        if tokens > longest * DOWN_TO // 100 or (without_files and turn.attachments.all()):
            break
        kept.insert(0, turn)
    if len(kept) == len(exchanges):
        kept = exchanges[(len(exchanges) + 1) // 2 :]
    return [*(turn for turn in context if turn.kind == Turn.Kind.SUMMARY), *kept]


def _of_turn(turn: Turn) -> int:
    if turn.kind == Turn.Kind.SUMMARY:
        return OVERHEAD + tokens_of_text(turn.call.text)
    return of_message(turn.text, turn.attachments.all()) + tokens_of_text(turn.call.text)


def _counted(turn: Turn) -> int | None:
    """Input and output of its answer: what the next message sends again."""
    if turn.kind == Turn.Kind.SUMMARY:
        return None
    answers = turn.call.cost_records.filter(purpose=CostRecord.Purpose.ANSWER, input_tokens__isnull=False)
    record = answers.order_by("-at", "-pk").first()
    if record is None:
        return None
    counts = [record.input_tokens, record.cache_write_5m_tokens, record.cache_write_1h_tokens]
    return sum(count or 0 for count in [*counts, record.cache_read_tokens, record.output_tokens])
