"""What does a request ask for, in plain text?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from core.simulator.faults import without_directives

LONGEST_SUBJECT = 12  # words
SENTENCE = re.compile(r"[^.!?\n]+[.!?]?")


def user_text(params: Mapping[str, Any]) -> str:
    """All text of all user messages, directives included."""
    return "\n".join(
        text for message in params["messages"] if message["role"] == "user" for text in texts(message["content"])
    )


def last_user_text(params: Mapping[str, Any]) -> str:
    """The text of the last user message that has any, without directives: what the answer is about."""
    for message in reversed(params["messages"]):
        text = without_directives("\n".join(texts(message["content"])))
        if message["role"] == "user" and text:
            return text
    return ""


def system_text(params: Mapping[str, Any]) -> str:
    """The system prompt, mid-conversation system messages included."""
    system = params.get("system") or ""
    parts = [*texts(system)]
    for message in params["messages"]:
        if message["role"] == "system":
            parts += texts(message["content"])
    return "\n".join(parts)


def tool_results(params: Mapping[str, Any]) -> list[str]:
    """The texts of the tool results in the last message."""
    content = params["messages"][-1]["content"]
    if isinstance(content, str):
        return []
    return ["\n".join(texts(block.get("content") or "")) for block in content if block["type"] == "tool_result"]


def texts(content: Any) -> Iterator[str]:
    """The texts of a message's content: its own and those of plain documents."""
    if isinstance(content, str):
        yield content
        return
    for block in content:
        if block["type"] == "text":
            yield block["text"]
        elif block["type"] == "document" and block["source"]["type"] == "text":
            yield block["source"]["data"]


def sentences(text: str) -> list[str]:
    """The sentences of a text, in order."""
    return [found for match in SENTENCE.findall(text) if len(found := " ".join(match.split())) > 1]


def subject(text: str) -> str:
    """A few words that say what a text is about: its title or subject line, or its first clause."""
    titled = re.search(r"^(?:subject|re|betreff|title)\s*:\s*(\S.*)$", text, re.IGNORECASE | re.MULTILINE)
    line = titled.group(1) if titled else _first_line(text)
    words = re.split(r"[.!?;](?:\s|$)|:", line)[0].split()
    return " ".join(words[:LONGEST_SUBJECT]) + ("…" if len(words) > LONGEST_SUBJECT else "")


def _first_line(text: str) -> str:
    """The first line that is more than a label such as `Document:`."""
    lines = [stripped for line in text.splitlines() if (stripped := line.strip(" #*-`"))]
    return next((line for line in lines if not line.endswith(":")), lines[0] if lines else "")
