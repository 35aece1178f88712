"""Does the simulator refuse as the API does, where it is asked to?"""

from __future__ import annotations

import pytest

from core.simulator.errors import ApiError
from core.simulator.limits import RateLimits


def test_nobody_is_refused_unless_asked_for() -> None:
    limits = RateLimits()
    for _ in range(5000):
        limits.admit("text")


def test_more_than_allowed_are_refused_with_the_seconds_to_wait() -> None:
    limits = RateLimits()
    limits.enforce(per_minute=30, burst=2)
    limits.admit("a")
    limits.admit("b")

    with pytest.raises(ApiError) as refused:
        limits.admit("c")

    assert (refused.value.status, refused.value.headers) == (429, {"retry-after": "2"})
    assert limits.headers("key")["anthropic-ratelimit-requests-remaining"] == "0"
    assert limits.headers("key")["anthropic-ratelimit-requests-limit"] == "30"
    assert (limits.refused, limits.early) == (1, 0)


def test_who_comes_back_too_early_is_counted() -> None:
    limits = RateLimits()
    limits.enforce(per_minute=30, burst=1)
    limits.admit("a")
    for _ in range(2):
        with pytest.raises(ApiError):
            limits.admit("b")

    assert limits.early == 1


def test_the_bucket_fills_evenly() -> None:
    limits = RateLimits()
    limits.enforce(per_minute=600_000, burst=1)
    admitted = 0
    while admitted < 100:
        limits.early, before = 0, limits.refused
        try:
            limits.admit("a")
            admitted += 1
        except ApiError:
            assert limits.refused == before + 1
