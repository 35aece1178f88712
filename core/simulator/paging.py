"""Which part of a list does a cursor ask for?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.simulator.errors import invalid


def page(items: Sequence[dict[str, Any]], query: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """One page (`data`, `has_more`, `first_id`, `last_id`) by `limit`, `after_id` or `before_id`."""
    limit = _limit(query)
    after, before = _one(query, "after_id"), _one(query, "before_id")
    if after and before:
        raise invalid("Only one of after_id and before_id may be given")
    if before:
        rest = items[: _position(items, before, "before_id")]
        data = rest[-limit:]
    else:
        rest = items[_position(items, after, "after_id") + 1 :] if after else items
        data = rest[:limit]
    return {
        "data": list(data),
        "has_more": len(rest) > len(data),
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
    }


def _one(query: Mapping[str, Sequence[str]], name: str) -> str | None:
    values = query.get(name)
    return values[-1] if values else None


def _limit(query: Mapping[str, Sequence[str]]) -> int:
    text = _one(query, "limit") or "20"
    if not text.isdecimal():
        raise invalid("limit: Input should be a valid integer, unable to parse string as an integer")
    limit = int(text)
    if limit < 1:
        raise invalid("limit: Input should be greater than or equal to 1")
    if limit > 1000:
        raise invalid("limit: Input should be less than or equal to 1000")
    return limit


def _position(items: Sequence[dict[str, Any]], item_id: str, name: str) -> int:
    for index, item in enumerate(items):
        if item["id"] == item_id:
            return index
    raise invalid(f"{name}: no such object: {item_id}")
