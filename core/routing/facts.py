"""What can a rule know of a request?"""

from __future__ import annotations

import datetime as dt
import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from django.utils import timezone

from core.costs import budgets
from core.costs.estimate import approximate_tokens
from core.models import Call, Key, User
from core.routing.languages import language_of

_WORD = re.compile(r"\w+")
NO_GROUPS: frozenset[int] = frozenset()
# Kinds of content blocks, and what a rule calls them.
_HOLDS = {"image": "image", "document": "document"}


@dataclass
class Facts:
    """One request as rules see it. What takes a while to find out is a function that remembers its answer."""

    text: str = ""
    prompt: int | None = None
    user: int | None = None
    key: int | None = None
    lane: str = Call.Lane.SYNC
    # «image», «document», «tools».
    holds: frozenset[str] = frozenset()
    structured: bool = False
    # In the installation's time zone.
    at: dt.datetime = field(default_factory=timezone.localtime)
    # Who asks, always the same text for the same caller.
    caller: str = ""
    # The route's short name, so that two routes share out their callers differently.
    route: str = ""
    input_tokens: Callable[[], int] = lambda: 0
    tags: Callable[[], frozenset[str]] = frozenset
    groups: Callable[[], frozenset[int]] = lambda: NO_GROUPS
    # Two letters of ISO 639-1, or "" where the text does not tell.
    language: Callable[[], str] = lambda: ""
    # The label that a classifier gives the request; its argument is the classifier's short name.
    class_of: Callable[[str], str] = lambda _slug: ""
    # Of the tightest budget that counts the call, between 0 and 1; None where none does.
    budget_left: Callable[[], float | None] = lambda: None

    @functools.cached_property
    def folded(self) -> str:
        """The text for comparing words without regard to capitals."""
        return self.text.casefold()

    @functools.cached_property
    def words(self) -> frozenset[str]:
        """Each of its words once, without regard to capitals."""
        # Most are words as they stand between white space; searching the whole text for them takes five times as long.
        found = set(self.folded.split())
        odd = [each for each in found if not each.isalnum()]
        found.difference_update(odd)
        found.update(word for each in odd for word in _WORD.findall(each))
        return frozenset(found)


T = TypeVar("T")


class _Once(Generic[T]):
    """A function that is called once and then remembers; quicker to make than one of `functools`."""

    __slots__ = ("_made", "_make")

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make

    def __call__(self) -> T:
        try:
            return self._made
        except AttributeError:
            self._made: T = self._make()
            return self._made


def facts_of(call: Call, request: Mapping[str, Any], route: str, class_of: Callable[[str], str]) -> Facts:
    """The facts of this call, whose row need not be stored; `request` is its Messages request."""
    text = asked_text(request)
    return Facts(
        text=text,
        prompt=call.prompt_id,
        user=call.user_id,
        key=call.key_id,
        lane=call.lane,
        holds=holds(request),
        structured=_structured(request),
        caller=_caller(call),
        route=route,
        input_tokens=_Once(lambda: input_tokens(request)),
        tags=_Once(lambda: _tags(call)),
        groups=_Once(lambda: _groups(call)),
        language=_Once(lambda: language_of(text)),
        class_of=class_of,
        budget_left=_Once(lambda: budgets.share_left(call)),
    )


def asked_text(request: Mapping[str, Any]) -> str:
    """What the person or program wrote last: the text of the last user turn."""
    for message in reversed(_messages(request)):
        if message.get("role") == "user" and (text := _text_of(message["content"])):
            return text
    return ""


def holds(request: Mapping[str, Any]) -> frozenset[str]:
    """Which of image, document and tools the request has, results of tools included."""
    found = {name for message in _messages(request) for name in _held(message["content"])}
    return frozenset(found | {"tools"} if request.get("tools") else found)


def input_tokens(request: Mapping[str, Any]) -> int:
    """About how many tokens the request's text has; images and files do not count as text."""
    readable = [{**message, "content": _readable(message["content"])} for message in _messages(request)]
    return approximate_tokens({"system": request.get("system") or "", "messages": readable})


def _messages(request: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The messages in the API's shape; what is not in it is for Claude to refuse."""
    messages = request.get("messages")
    whole = [message for message in messages if isinstance(message, Mapping)] if isinstance(messages, list) else []
    return [message for message in whole if isinstance(message.get("content"), str | list)]


def _blocks(content: Any) -> list[Mapping[str, Any]]:
    return [block for block in content if isinstance(block, Mapping)] if isinstance(content, list) else []


def _readable(content: Any) -> Any:
    """Content without its images and files, those in results of tools included."""
    if not isinstance(content, list):
        return content
    return [
        {key: _readable(value) if key == "content" else value for key, value in block.items() if key != "source"}
        for block in _blocks(content)
    ]


def _text_of(content: str | list[Any]) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(str(block.get("text") or "") for block in _blocks(content) if block.get("type") == "text")


def _held(content: Any) -> set[str]:
    found = {_HOLDS[kind] for block in _blocks(content) if (kind := str(block.get("type"))) in _HOLDS}
    return found.union(*(_held(block.get("content")) for block in _blocks(content)))


def _structured(request: Mapping[str, Any]) -> bool:
    output = request.get("output_config")
    return isinstance(output, Mapping) and bool(output.get("format"))


def _caller(call: Call) -> str:
    if call.key_id is not None:
        return f"key {call.key_id}"
    # Nobody knows an anonymous caller again, so each call of theirs counts for itself.
    return f"person {call.user_id}" if call.user_id is not None else f"call {call.pk}"


def _tags(call: Call) -> frozenset[str]:
    return frozenset(call.prompt.tag_list()) if call.prompt else frozenset()


def _groups(call: Call) -> frozenset[int]:
    """The groups that count for the call: those chosen for its key, or those of its person."""
    chosen: frozenset[int] = NO_GROUPS
    if call.key_id is not None:
        chosen = frozenset(Key.groups.through.objects.filter(key_id=call.key_id).values_list("group_id", flat=True))
    if chosen or call.user_id is None:
        return chosen
    return frozenset(User.groups.through.objects.filter(user_id=call.user_id).values_list("group_id", flat=True))
