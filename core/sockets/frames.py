"""Which frames go over the socket: plain text for scripts, or JSON events?"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

DONE, AGAIN, ERROR = "[DONE]", "[AGAIN]", "[ERROR] "


class UnreadableError(ValueError):
    """A frame that asks for nothing that can be done; the text is for whoever sent it."""


@dataclass(frozen=True)
class Command:
    """What a client wants: `message`, `again`, `edit`, `stop` or `resume`."""

    kind: str
    text: str = ""
    # The client's own name for it, so that sending it again says it once.
    token: str = ""
    # An exchange of the conversation: after which to go on, which to answer anew, to change or to hear.
    turn: int | None = None
    # Behind which piece to go on hearing.
    after: str = ""


class Frames(Protocol):
    """How a client speaks and is spoken to. What is told may be empty: then nothing is sent."""

    def read(self, frame: str) -> Command: ...
    def ready(self, conversation: str) -> str: ...
    def begun(self, turn: int, call: str, token: str) -> str: ...
    def heard(self, kind: str, data: str, position: str) -> list[str]: ...
    def ended(self, outcome: Mapping[str, Any]) -> list[str]: ...
    def failed(self, kind: str, message: str, token: str = "") -> list[str]: ...
    def ping(self) -> str: ...


def _pieces(text: str) -> list[str]:
    """As frames; a piece of an answer that looks like one of our words goes in two."""
    parts = [text[:1], text[1:]] if text.startswith((DONE, AGAIN, ERROR.strip())) else [text]
    return [part for part in parts if part]


@dataclass
class TextFrames:
    """Text in, pieces of text out, and `[DONE]`. The pieces put together are the answer."""

    # What of the answer went out, which another try makes void.
    _said: str = field(default="", repr=False)

    def read(self, frame: str) -> Command:
        return Command("message", text=frame)

    def ready(self, conversation: str) -> str:  # noqa: ARG002 - the handshake's header says it
        return ""

    def begun(self, turn: int, call: str, token: str) -> str:  # noqa: ARG002 - one signature for both
        self._said = ""
        return ""

    def heard(self, kind: str, data: str, position: str) -> list[str]:  # noqa: ARG002 - one signature for both
        if kind == "started":
            void, self._said = self._said, ""
            return [AGAIN] if void else []
        if kind != "text" or not data:
            return []
        self._said += data
        return _pieces(data)

    def ended(self, outcome: Mapping[str, Any]) -> list[str]:
        fault = outcome.get("error")
        told = [f"{ERROR}{fault['message']}"] if fault else []
        return [*self._unsaid(outcome["text"]), *told, DONE]

    def _unsaid(self, whole: str) -> list[str]:
        """What is missing of the answer: while Redis was away, nobody heard it."""
        # As it is stored, where a character cannot be.
        said = self._said.replace("\x00", "\ufffd")
        if whole.startswith(said):
            return _pieces(whole[len(said) :])
        return [AGAIN, *_pieces(whole)] if whole else []

    def failed(self, kind: str, message: str, token: str = "") -> list[str]:  # noqa: ARG002 - one signature for both
        return [f"{ERROR}{message}", DONE]

    def ping(self) -> str:
        return ""


class EventFrames:
    """One JSON object in each frame, both ways, with its `type`."""

    def read(self, frame: str) -> Command:
        try:
            sent = json.loads(frame)
        except (ValueError, RecursionError) as error:
            raise UnreadableError("This frame is not JSON.") from error
        kind = sent.get("type") if isinstance(sent, dict) else None
        if kind not in _KNOWN:
            raise UnreadableError(f"A frame is an object whose type is one of {', '.join(_KNOWN)}.")
        return Command(
            kind,
            text=_string(sent, "text", 2_000_000),
            token=_string(sent, "id", 64),
            turn=_whole(sent, "turn"),
            after=_string(sent, "after", 64),
        )

    def ready(self, conversation: str) -> str:
        return _json("ready", conversation=conversation)

    def begun(self, turn: int, call: str, token: str) -> str:
        return _json("turn", turn=turn, call=call, id=token or None)

    def heard(self, kind: str, data: str, position: str) -> list[str]:
        if kind == "text":
            return [_json("text", text=data, position=position)]
        if kind == "started":
            return [_json("started", attempt=int(data) if data.isdecimal() else 1, position=position)]
        return [_json("status", status=data)] if kind == "status" else []

    def ended(self, outcome: Mapping[str, Any]) -> list[str]:
        return [_json("ended", **outcome)]

    def failed(self, kind: str, message: str, token: str = "") -> list[str]:
        return [_json("error", error={"type": kind, "message": message}, id=token or None)]

    def ping(self) -> str:
        return _json("ping")


_KNOWN = ("message", "again", "edit", "stop", "resume")


def _json(kind: str, **fields: Any) -> str:
    return json.dumps({"type": kind, **fields}, ensure_ascii=False)


def _string(sent: Mapping[str, Any], name: str, most: int) -> str:
    value = sent.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > most or "\x00" in value:
        raise UnreadableError(f"«{name}» has to be a text of at most {most:,} characters.")
    # Half a character can be written in JSON, but not stored.
    return value.encode("utf-8", "replace").decode()


def _whole(sent: Mapping[str, Any], name: str) -> int | None:
    value = sent.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**62:
        raise UnreadableError(f"«{name}» has to be the number of an exchange.")
    return value
