"""Which headers go on to Claude, and which come back? Named ones only: a key, a cookie or a server's own is none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_TO_CLAUDE = "HTTP_ANTHROPIC_"
_BACK = ("anthropic-",)
_BACK_BY_NAME = frozenset({"request-id", "retry-after", "retry-after-ms", "x-should-retry"})


def for_claude(meta: Mapping[str, Any]) -> dict[str, str]:
    """All of the program's `anthropic-…` headers, also those that this server has never heard of."""
    return {
        name[len("HTTP_") :].replace("_", "-").lower(): value
        for name, value in meta.items()
        if name.startswith(_TO_CLAUDE)
    }


def for_program(headers: Mapping[str, str]) -> dict[str, str]:
    """What an answer of Claude's says to the program."""
    return {
        name: value
        for name, value in ((name.lower(), value) for name, value in headers.items())
        if name.startswith(_BACK) or name in _BACK_BY_NAME
    }
