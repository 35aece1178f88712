"""Which Claude do the contract tests speak to? The simulator, or with TEST_LIVE=1 the real one."""

from __future__ import annotations

import os
from dataclasses import dataclass

LIVE = os.environ.get("TEST_LIVE") == "1"


@dataclass(frozen=True)
class Target:
    """A model to ask, cheap enough to ask the real one."""

    live: bool
    model: str = "claude-haiku-5-5"
    max_tokens: int = 40
