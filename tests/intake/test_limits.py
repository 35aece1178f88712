"""Are limits held, told, and given back, with Redis and without?"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
from pytest_django import Settings

from core.intake import windows
from core.intake.keys import make_key
from core.intake.limits import OverLimitError, Standing, give, take
from core.intake.windows import MINUTE, Use
from core.models import Key, User
from tests import environment

Server = windows.Counters


def allowed(key: Key, times: int, tokens: int = 1) -> int:
    """How many of so many requests passed."""
    passed = 0
    for _ in range(times):
        try:
            take(key, tokens)
            passed += 1
        except OverLimitError:
            pass
    return passed


def remaining(standing: Standing, kind: str) -> int:
    return int(standing.headers()[f"anthropic-ratelimit-{kind}-remaining"])


@pytest.fixture(params=["with Redis", "without Redis"])
def counted(request: pytest.FixtureRequest, settings: Settings) -> str:
    """Both places where limits are counted."""
    if request.param == "without Redis":
        settings.REDIS_URL = f"unix://{environment.FOLDER}/nobody-{time.monotonic_ns()}.sock"
    return str(request.param)


def test_without_limits_nobody_is_asked(key: Key, settings: Settings) -> None:
    settings.REDIS_URL = "redis://192.0.2.1:1/0"
    standing = take(key, 10**9)
    assert standing.headers() == {}
    give(standing, 5)


def test_each_limit_is_held(key: Key, settings: Settings, counted: str) -> None:
    settings.LIMIT_REQUESTS_PER_MINUTE_KEY = 3
    assert allowed(key, 5) == 3


def test_tokens_are_limited_as_requests_are(key: Key, settings: Settings, counted: str) -> None:
    settings.LIMIT_TOKENS_PER_MINUTE_KEY = 100
    assert allowed(key, 5, tokens=30) == 3


def test_a_key_or_person_may_have_figures_of_their_own(key: Key, settings: Settings, counted: str) -> None:
    settings.LIMIT_REQUESTS_PER_MINUTE_KEY = settings.LIMIT_REQUESTS_PER_MINUTE_USER = 1
    key.requests_per_minute, key.user.requests_per_minute = 4, 5
    assert allowed(key, 9) == 4
    key.requests_per_minute = 0
    assert allowed(key, 9) == 1


def test_the_keys_of_a_person_share_the_persons_limit_and_all_the_organisations(
    key: Key, member: User, outsider: User, settings: Settings, counted: str
) -> None:
    second, _ = make_key("second", member, by=None)
    anothers, _ = make_key("another's", outsider, by=None)
    settings.LIMIT_REQUESTS_PER_MINUTE_USER = 3
    settings.LIMIT_REQUESTS_PER_MINUTE_ORGANISATION = 5
    assert [allowed(each, 2) for each in (key, second, anothers, anothers)] == [2, 1, 2, 0]


def test_a_refused_request_counts_against_no_limit(key: Key, settings: Settings, counted: str) -> None:
    settings.LIMIT_REQUESTS_PER_MINUTE_KEY = 5
    settings.LIMIT_TOKENS_PER_MINUTE_USER = 100
    take(key, 90)
    assert allowed(key, 20, tokens=50) == 0
    standing = take(key, 10)
    assert remaining(standing, "requests") == 3
    assert remaining(standing, "tokens") == 0


def test_what_was_thought_of_the_tokens_is_put_right_afterwards(key: Key, settings: Settings, counted: str) -> None:
    settings.LIMIT_TOKENS_PER_MINUTE_KEY = 100
    settings.LIMIT_TOKENS_PER_MINUTE_ORGANISATION = 1000
    first = take(key, 90)
    give(first, 20)
    second = take(key, 5)
    assert remaining(second, "tokens") == 75
    give(second, 60)
    assert allowed(key, 3, tokens=20) == 1


def test_more_than_the_limit_may_be_used_in_the_end_and_holds_back_who_comes_next(
    key: Key, settings: Settings, counted: str
) -> None:
    settings.LIMIT_TOKENS_PER_MINUTE_KEY = 100
    give(take(key, 10), 5000)
    with pytest.raises(OverLimitError) as refused:
        take(key, 1)
    assert refused.value.retry_after is not None
    # The rest of this minute, and then the part of the next in which this one still weighs too much: 98 % of it.
    assert 58 < refused.value.retry_after <= 121


def test_giving_back_never_makes_room_that_was_not_there(key: Key, settings: Settings, counted: str) -> None:
    settings.LIMIT_TOKENS_PER_MINUTE_KEY = 100
    standing = take(key, 50)
    give(standing, 0)
    give(standing, 0)
    assert remaining(take(key, 1), "tokens") == 99


def test_the_headers_are_the_apis_and_of_the_closest_limit(key: Key, settings: Settings, counted: str) -> None:
    settings.LIMIT_REQUESTS_PER_MINUTE_KEY, settings.LIMIT_REQUESTS_PER_MINUTE_ORGANISATION = 100, 10
    settings.LIMIT_TOKENS_PER_MINUTE_USER = 1000
    headers = take(key, 100).headers()
    assert {name for name in headers if not name.endswith("-reset")} == {
        f"anthropic-ratelimit-{kind}-{what}"
        for kind in ("requests", "tokens", "input-tokens", "output-tokens")
        for what in ("limit", "remaining")
    }
    assert headers["anthropic-ratelimit-requests-limit"] == "10"
    assert headers["anthropic-ratelimit-requests-remaining"] == "9"
    assert headers["anthropic-ratelimit-tokens-remaining"] == "900"
    reset = dt.datetime.fromisoformat(headers["anthropic-ratelimit-requests-reset"])
    assert dt.timedelta() < reset - dt.datetime.now(dt.UTC) <= dt.timedelta(seconds=122)


def test_a_refusal_says_which_limit_and_when(key: Key, settings: Settings, counted: str) -> None:
    settings.LIMIT_REQUESTS_PER_MINUTE_USER = 1
    take(key, 1)
    with pytest.raises(OverLimitError, match="limit of 1 requests per minute of this user") as refused:
        take(key, 1)
    headers = refused.value.headers()
    assert int(headers["retry-after"]) == refused.value.retry_after
    assert headers["anthropic-ratelimit-requests-remaining"] == "0"


def test_a_request_larger_than_its_limit_is_told_not_to_try_again(key: Key, settings: Settings, counted: str) -> None:
    settings.LIMIT_TOKENS_PER_MINUTE_KEY = 100
    with pytest.raises(OverLimitError) as refused:
        take(key, 101)
    assert refused.value.retry_after is None
    assert refused.value.headers()["x-should-retry"] == "false"
    assert "retry-after" not in refused.value.headers()
    take(key, 100)


@pytest.mark.parametrize("ago", [0.0, 10.0, 59.5])
@pytest.mark.parametrize("used", [(0, 10), (10, 0), (7, 5), (30, 0), (30, 8), (0, 25), (1, 10)])
@pytest.mark.parametrize("amount", [1, 4, 10])
def test_the_wait_is_never_too_short_nor_a_second_too_long(used: tuple[int, int], ago: float, amount: int) -> None:
    """The counter is moved through time as its storages do: at the end of a minute the current becomes the previous."""
    limit, (previous, current) = 10, used

    def after(seconds: float) -> Use:
        into = ago + seconds
        if into < MINUTE:
            return Use(previous, MINUTE - into, current, 2 * MINUTE - into)
        if into < 2 * MINUTE:
            return Use(current, 2 * MINUTE - into, 0, 3 * MINUTE - into)
        return Use()

    wait = after(0).wait(limit, amount)
    assert after(wait).used() + amount <= limit
    if wait:
        assert after(max(0.0, wait - 0.01)).used() + amount > limit


@pytest.mark.parametrize("used", [1, 3, 50])
def test_what_was_used_a_moment_before_the_minute_ended_still_counts_whole(used: int) -> None:
    assert Use(used, MINUTE - 0.01, 0, 2 * MINUTE - 0.01).used() == used


def test_many_at_once_get_no_more_than_the_limit(key: Key, settings: Settings, counted: str) -> None:
    settings.LIMIT_REQUESTS_PER_MINUTE_KEY = 50
    assert key.user
    passed, minute = 0, -1
    while minute != int(time.time() // MINUTE):
        # As the minute turns, part of what was used is free again.
        minute = int(time.time() // MINUTE)
        key.pk += 1
        windows._counters_of.cache_clear()
        with ThreadPoolExecutor(16) as pool:
            passed = sum(pool.map(lambda _: allowed(key, 10), range(16)))
    assert passed == 50


def test_what_a_minute_ago_was_used_is_free_again(key: Key, settings: Settings) -> None:
    settings.LIMIT_REQUESTS_PER_MINUTE_KEY = 10
    server = redis.Redis.from_url(settings.REDIS_URL)
    assert allowed(key, 11) == 10
    (current,) = server.keys("claudeapp:limits:*")
    server.pexpire(current, 90_000)
    assert allowed(key, 10) == 0, "half a minute later all of it still counts: it lies within the last sixty seconds"
    server.pexpire(current, 30_000)
    assert 4 <= allowed(key, 10) <= 6, "half a minute into the next one, half of it"


@pytest.fixture
def server(settings: Settings) -> Iterator[Callable[[], None]]:
    """A Redis that can be started and stopped, in the settings; it is left alone for no time when it failed."""
    name = f"limits-{time.monotonic_ns()}"
    running: list[Any] = []

    def toggle() -> None:
        if running:
            running.pop().__exit__(None, None, None)
        else:
            running.append(environment.another_redis(name))
            running[0].__enter__()

    settings.REDIS_URL = f"unix://{environment.FOLDER}/redis-{name}.sock"
    yield toggle
    if running:
        toggle()


def test_a_redis_that_breaks_is_done_without_and_used_again(
    key: Key, settings: Settings, server: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "LEFT_ALONE", 0)
    settings.LIMIT_REQUESTS_PER_MINUTE_KEY = 2
    settings.LIMIT_TOKENS_PER_MINUTE_KEY = 1000
    server()
    before = take(key, 10)
    server()
    give(before, 500)
    assert allowed(key, 5) == 2, "counted here, from nothing"
    server()
    assert allowed(key, 5) == 2, "Redis forgot what it had counted"
    assert allowed(key, 5) == 0


def test_a_redis_that_failed_is_left_alone_for_a_while(key: Key, settings: Settings) -> None:
    settings.LIMIT_REQUESTS_PER_MINUTE_KEY = 1000
    settings.REDIS_URL = f"unix://{environment.FOLDER}/nobody-{time.monotonic_ns()}.sock"
    take(key, 1)
    started = time.process_time()
    for _ in range(100):
        take(key, 1)
    assert time.process_time() - started < 0.5
