"""Which rules were looked at for a call, and what did each say?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.models import Call, RouteVersion
from core.routing.known import Names


@dataclass(frozen=True)
class LookedAt:
    """One rule: whether it matched, and if not, the condition that did not hold."""

    number: int
    title: str
    matched: bool
    why: str = ""


@dataclass(frozen=True)
class Trace:
    """The route and version that a call followed, and its rules as far as they were looked at."""

    route: str
    version: int
    rules: list[LookedAt]
    # No rule matched, so that the default decided.
    default: bool


def trace_of(call: Call) -> Trace | None:
    """How the model of this call was chosen; None where it followed no route, or has not been chosen yet."""
    kept = call.routing or {}
    if "failed" not in kept or "version" not in kept:
        return None
    version = RouteVersion.objects.select_related("route").filter(pk=kept["version"]).first()
    if version is None:
        return None
    rules = version.content["rules"]
    failed = [(place, rules[place]["conditions"][where]) for place, where in kept["failed"]]
    names = Names([condition for _, condition in failed])
    found = [LookedAt(place + 1, _title(rules, place), False, names.sentence(each)) for place, each in failed]
    if kept["rule"] is not None:
        found.append(LookedAt(kept["rule"] + 1, _title(rules, kept["rule"]), True))
    return Trace(version.route.name, version.number, found, kept["rule"] is None)


def _title(rules: list[Mapping[str, Any]], place: int) -> str:
    return str(rules[place].get("name") or f"rule {place + 1}")
