"""Rows for the tests of batches."""

from __future__ import annotations

from typing import Any

from core.batches.start import Row

MODEL = "claude-haiku-5-5"


def request(text: str = "What is due on Friday?", **more: Any) -> dict[str, Any]:
    return {"model": MODEL, "max_tokens": 40, "messages": [{"role": "user", "content": text}], **more}


def rows(*texts: str) -> list[Row]:
    return [Row(f"row-{number}", request(text)) for number, text in enumerate(texts)]
