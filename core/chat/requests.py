"""What is sent to Claude for the next message of a conversation? Pure: turns in, a Messages request out.

Of each request, all but the newest message was sent before. Marks for the prompt cache stand at the end of the system
prompt, of the message before and of the newest one: what is read again then costs a fraction, and the next request
finds where this one ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from core.chat.files import TEXT
from core.execution.files import named
from core.models import Attachment, Turn

# Tokens; a longer answer is cut off, and goes on when asked to.
LONGEST_ANSWER = 8192
CACHED = {"cache_control": {"type": "ephemeral"}}
OPENING = "What we have talked about so far, in short:\n\n"
SUMMARISE = (
    "Please sum up our conversation so far, so that it can go on from your summary alone: what I want, what was found "
    "out and decided, names, figures and passages that are needed again word for word, and what is still open. Write "
    "the summary and nothing else, in the language of the conversation."
)


def context_of(path: Sequence[Turn], since: int | None = None) -> list[Turn]:
    """The exchanges of a path that are sent again.

    Left out is what came before the newest summary, or before `since` (the summary itself stays), and what has no
    answer: Claude may have refused it, and would refuse it again.
    """
    answered = [turn for turn in path if turn.answered]
    summaries = [turn for turn in answered if turn.kind == Turn.Kind.SUMMARY]
    after = answered[answered.index(summaries[-1]) + 1 :] if summaries else answered
    if since is not None:
        after = [turn for turn in after if turn.pk >= since]
    return [*summaries[-1:], *after]


def request_of(
    context: Sequence[Turn],
    text: str,
    attachments: Iterable[Attachment],
    *,
    model: str,
    system: str = "",
    longest_answer: int = LONGEST_ANSWER,
) -> dict[str, Any]:
    """The Messages request; its files are named and not in it, see `core.execution.files`."""
    messages = _messages(context, [*_files(attachments), *_text(text)])
    for message in [message for message in messages if message["role"] == "user"][-2:]:
        message["content"][-1] = {**message["content"][-1], **CACHED}
    request = {"model": model, "max_tokens": longest_answer, "messages": messages}
    return {**request, "system": [{"type": "text", "text": system, **CACHED}]} if system.strip() else request


def _messages(context: Sequence[Turn], newest: list[dict[str, Any]]) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    opening: list[dict[str, Any]] = []
    for turn in context:
        if turn.kind == Turn.Kind.SUMMARY:
            opening = _text(f"{OPENING}{turn.call.text.strip()}")
            continue
        asked = [*opening, *_files(turn.attachments.all()), *_text(turn.text)]
        opening = []
        # Its text alone: thinking belongs to the model that thought, and another one may answer now.
        answer = _text(turn.call.text.strip())
        messages += [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]
    return [*messages, {"role": "user", "content": [*opening, *newest]}]


def _text(text: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": text}] if text.strip() else []


def _files(attachments: Iterable[Attachment]) -> list[dict[str, Any]]:
    return [_block(attachment) for attachment in attachments]


def _block(attachment: Attachment) -> dict[str, Any]:
    source = named(attachment.file_id, attachment.media_type, attachment.size)
    if attachment.is_image:
        return {"type": "image", "source": source}
    if attachment.media_type == TEXT:
        source = {**source, "type": "text"}
    return {"type": "document", "title": attachment.name, "source": source}
