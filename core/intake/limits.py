"""May this key send another request now, and when may it again?

Three limits apply to requests and three to tokens, each where it is set: the key's, its owner's, and the whole
organisation's. Tokens are those of input and output together: what the input is thought to have is counted when a
request begins, and the difference to what it had and got when it has ended.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from django.conf import settings
from django.utils import timezone

from core.intake.windows import Limit, Own, Shared, Use, counters
from core.models import Key

_KINDS = ("requests", "tokens")
# How the Claude API names what its limits count; ours count input and output tokens together.
_HEADERS = {"requests": ("requests",), "tokens": ("tokens", "input-tokens", "output-tokens")}


@dataclass(frozen=True)
class Standing:
    """Where a request stands with the limits that apply to it, itself counted; nothing where none is set."""

    limits: list[Limit] = field(default_factory=list)
    uses: list[Use] = field(default_factory=list)
    # What the request itself counts, of each limit.
    amounts: list[int] = field(default_factory=list)
    place: Shared | Own | None = None

    def headers(self) -> dict[str, str]:
        """The Claude API's rate-limit headers, for requests and for tokens each of the limit that is closest."""
        now = timezone.now()
        headers = {}
        for kind in _KINDS:
            closest = min(self._of(kind), default=None, key=lambda row: (row[1], row[0]))
            for name in _HEADERS[kind] if closest else ():
                amount, remaining, free_in = closest or (0, 0, 0.0)
                headers[f"anthropic-ratelimit-{name}-limit"] = str(amount)
                headers[f"anthropic-ratelimit-{name}-remaining"] = str(remaining)
                headers[f"anthropic-ratelimit-{name}-reset"] = _moment(now, free_in)
        return headers

    def _of(self, kind: str) -> Iterator[tuple[int, int, float]]:
        """Of each limit of this kind: what it allows, what remains, and the seconds until it is all there again."""
        for limit, use, amount in zip(self.limits, self.uses, self.amounts, strict=True):
            if limit.kind == kind:
                yield limit.item.amount, max(0, limit.item.amount - use.used() - amount), use.free_in(amount)


class OverLimitError(Exception):
    """A limit has no room for this request, which counted against none. Says which, and for how long.

    `retry_after`: whole seconds, never too few; None where the request alone is more than the limit allows in a minute.
    """

    def __init__(self, standing: Standing, limit: Limit, retry_after: int | None) -> None:
        self.standing, self.limit, self.retry_after = standing, limit, retry_after
        when = (
            f"Please try again in {retry_after} s."
            if retry_after is not None
            else "It has more than that by itself, so that trying again does not help."
        )
        most = f"{limit.item.amount:,} {limit.kind} per minute"
        super().__init__(f"This request would exceed the limit of {most} of {limit.of}. {when}")

    def headers(self) -> dict[str, str]:
        """Those of the standing, and what tells a program when to try again; the SDKs heed both."""
        again = {"x-should-retry": "false"} if self.retry_after is None else {"retry-after": str(self.retry_after)}
        return {**self.standing.headers(), **again}


def take(key: Key, input_tokens: int) -> Standing:
    """Count a request of `key` with so many tokens of input against all limits that apply, or against none.

    Raises `OverLimitError`. Asks nobody where no limit is set.
    """
    limits = _limits_of(key)
    if not limits:
        return Standing()
    amounts = [1 if limit.kind == "requests" else input_tokens for limit in limits]
    place, fits, uses = counters().take(limits, amounts)
    if not fits:
        raise _refusal(Standing(limits, uses, [0] * len(limits), place), amounts)
    return Standing(limits, uses, amounts, place)


def give(standing: Standing, actual_tokens: int) -> None:
    """Count, once a request has ended, what it really had and got in tokens instead of what was thought."""
    counted = [(limit, amount) for limit, amount in zip(standing.limits, standing.amounts, strict=True)
               if limit.kind == "tokens"]  # fmt: skip
    if counted and standing.place is not None and (change := actual_tokens - counted[0][1]):
        counters().change(standing.place, [limit for limit, _ in counted], change)


def _limits_of(key: Key) -> list[Limit]:
    user = key.user
    own = [
        ("requests", "this key", key.pk, key.requests_per_minute, settings.LIMIT_REQUESTS_PER_MINUTE_KEY),
        ("requests", "this user", user.pk, user.requests_per_minute, settings.LIMIT_REQUESTS_PER_MINUTE_USER),
        ("requests", "this organisation", "", None, settings.LIMIT_REQUESTS_PER_MINUTE_ORGANISATION),
        ("tokens", "this key", key.pk, key.tokens_per_minute, settings.LIMIT_TOKENS_PER_MINUTE_KEY),
        ("tokens", "this user", user.pk, user.tokens_per_minute, settings.LIMIT_TOKENS_PER_MINUTE_USER),
        ("tokens", "this organisation", "", None, settings.LIMIT_TOKENS_PER_MINUTE_ORGANISATION),
    ]
    return [
        Limit.per_minute(kind, of, pk, amount)
        for kind, of, pk, override, usual in own
        if (amount := usual if override is None else override)
    ]


def _refusal(standing: Standing, amounts: list[int]) -> OverLimitError:
    """What holds the request back longest; a request larger than a limit is held back for good."""
    waits = [
        (math.inf if amount > limit.item.amount else use.wait(limit.item.amount, amount), limit)
        for limit, use, amount in zip(standing.limits, standing.uses, amounts, strict=True)
    ]
    seconds, limit = max(waits, key=lambda wait: wait[0])
    return OverLimitError(standing, limit, None if seconds == math.inf else max(1, math.ceil(seconds)))


def _moment(now: dt.datetime, seconds: float) -> str:
    """RFC 3339, in whole seconds, not too early."""
    return (now + dt.timedelta(seconds=math.ceil(seconds) + 1)).astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
