"""Are requests sent no earlier than Claude allows, one after another, and hardly later?"""

from __future__ import annotations

import time

import pytest
from pytest_django import Settings

from core.execution import pacing
from core.execution.buckets import SCRIPT, Buckets, MemoryBuckets, RedisBuckets
from core.hints.connection import quick_redis

MODEL = "claude-haiku-5-5"


@pytest.fixture(params=["redis", "memory"])
def buckets(request: pytest.FixtureRequest) -> Buckets:
    return RedisBuckets(quick_redis()) if request.param == "redis" else MemoryBuckets()


@pytest.fixture(autouse=True)
def _nothing_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "_noticed", pacing._Noticed())


def headers(**remaining: int) -> dict[str, str]:
    told = {}
    for kind, left in remaining.items():
        name = kind.replace("_", "-")
        told[f"anthropic-ratelimit-{name}-limit"] = "60" if kind == "requests" else "6000"
        told[f"anthropic-ratelimit-{name}-remaining"] = str(left)
    return told


def test_nothing_is_known_at_first(buckets: Buckets) -> None:
    assert buckets.take(MODEL, 10, "a") is None


def test_whoever_comes_after_the_last_free_request_gets_a_place_of_its_own(buckets: Buckets) -> None:
    """60 a minute, of which 2 are left: the third waits a second, the fourth two."""
    buckets.learn(MODEL, {"requests": (60, 2)})

    waits = [buckets.take(MODEL, 10, name) for name in "abcd"]

    assert waits == [0, 0, pytest.approx(1, abs=0.1), pytest.approx(2, abs=0.1)]


def test_a_place_is_kept_and_not_paid_for_twice(buckets: Buckets) -> None:
    buckets.learn(MODEL, {"requests": (600, 0)})
    first = buckets.take(MODEL, 10, "a")
    assert first == pytest.approx(0.1, abs=0.02)

    again = buckets.take(MODEL, 10, "a") or 0
    second = buckets.take(MODEL, 10, "b") or 0

    assert 0 < again < (first or 0)
    assert second - again == pytest.approx(0.1, abs=0.02)
    time.sleep(again)
    assert buckets.take(MODEL, 10, "a") == 0


def test_long_inputs_are_counted_as_tokens(buckets: Buckets) -> None:
    buckets.learn(MODEL, {"requests": (6000, 6000), "input-tokens": (60_000, 20_000)})

    assert buckets.take(MODEL, 20_000, "a") == 0
    assert buckets.take(MODEL, 10_000, "b") == pytest.approx(10, abs=0.1)


def test_one_that_is_longer_than_a_minute_allows_is_sent_all_the_same(buckets: Buckets) -> None:
    buckets.learn(MODEL, {"input-tokens": (60_000, 60_000)})

    assert buckets.take(MODEL, 500_000, "a") == 0
    assert buckets.take(MODEL, 500_000, "b") == pytest.approx(60, abs=0.1)


def test_what_others_sent_is_taken_from_the_headers_and_what_waits_is_not_forgotten(buckets: Buckets) -> None:
    buckets.learn(MODEL, {"requests": (60, 50)})
    buckets.learn(MODEL, {"requests": (60, 0)})
    assert buckets.take(MODEL, 1, "a") == pytest.approx(1, abs=0.1)

    buckets.learn(MODEL, {"requests": (60, 40)})

    assert buckets.take(MODEL, 1, "b") == pytest.approx(2, abs=0.1)


def test_estimates_that_were_far_too_high_do_not_keep_others_waiting(buckets: Buckets) -> None:
    """Most of the input is read from the cache, which the limit does not count."""
    buckets.learn(MODEL, {"input-tokens": (60_000, 60_000)})
    for name in "abc":
        buckets.take(MODEL, 60_000, name)

    buckets.learn(MODEL, {"input-tokens": (60_000, 59_000)})

    assert buckets.take(MODEL, 20_000, "d") == 0


def test_hardly_any_output_left_lets_them_go_one_after_another(buckets: Buckets) -> None:
    buckets.learn(MODEL, {"output-tokens": (60_000, 0)})

    waits = [buckets.take(MODEL, 1, name) for name in "ab"]

    assert waits == [pytest.approx(0.3, abs=0.1), pytest.approx(0.6, abs=0.1)]


def test_a_refusal_holds_everybody_and_they_come_back_one_after_another(buckets: Buckets) -> None:
    buckets.learn(MODEL, {"requests": (600, 500)})
    buckets.hold(MODEL, 5)
    buckets.hold(MODEL, 5)

    waits = [buckets.take(MODEL, 1, name) or 0 for name in "abc"]

    assert min(waits) >= 5
    assert waits == [pytest.approx(5.1, abs=0.05), pytest.approx(5.2, abs=0.05), pytest.approx(5.3, abs=0.05)]


def test_without_a_known_limit_they_are_spread_after_a_refusal_too(buckets: Buckets) -> None:
    buckets.hold(MODEL, 5)

    waits = [buckets.take(MODEL, 1, str(number)) or 0 for number in range(1000)]

    assert min(waits) >= 5
    assert len({round(wait, 2) for wait in waits}) > 900
    assert max(waits) < 30


def test_a_refusal_reaches_also_who_has_a_place_already(buckets: Buckets) -> None:
    buckets.learn(MODEL, {"requests": (600, 0)})
    wait = buckets.take(MODEL, 1, "a")
    assert wait is not None

    buckets.hold(MODEL, 3)

    assert buckets.take(MODEL, 1, "a") == pytest.approx(3, abs=0.1)
    time.sleep(wait)
    assert (buckets.take(MODEL, 1, "a") or 0) > 2.8


def test_models_do_not_wait_for_one_another() -> None:
    pacing.slow_down(MODEL, 5)

    assert pacing.wait_for("claude-opus-5-5", 1, holder="a") == 0
    assert pacing.wait_for(MODEL, 1, holder="a") > 4.9


def test_the_headers_of_an_answer_are_learnt_from() -> None:
    pacing.learn(MODEL, headers(requests=0, input_tokens=6000, output_tokens=6000))

    assert 0 < pacing.wait_for(MODEL, 1, holder="a") <= 1


@pytest.mark.parametrize(
    "nonsense", [{}, headers(requests=5) | {"anthropic-ratelimit-requests-limit": "many"}, {"retry-after": "1"}]
)
def test_headers_without_sense_change_nothing(nonsense: dict[str, str]) -> None:
    pacing.learn(MODEL, nonsense)

    assert pacing.wait_for(MODEL, 1_000_000, holder="a") == 0
    assert not quick_redis().keys("claudeapp:pace:*")


def test_without_redis_each_process_paces_itself(settings: Settings) -> None:
    settings.REDIS_URL = "unix:///nowhere/redis.sock"
    pacing.slow_down(MODEL, 5)

    assert pacing.wait_for(MODEL, 1, holder="a") > 4.9


def test_nobody_but_the_call_itself_is_held_for_longer_than_a_day() -> None:
    pacing.slow_down(MODEL, 30 * 86_400)

    assert pacing.wait_for(MODEL, 10) == pytest.approx(86_400, abs=2)


def test_what_redis_forgot_holds_nobody() -> None:
    pacing.slow_down(MODEL, 5)
    quick_redis().flushall()

    assert pacing.wait_for(MODEL, 1, holder="a") == 0


def test_nobody_asks_redis_again_and_again_where_nothing_was_learnt() -> None:
    pacing.wait_for(MODEL, 1)
    before = quick_redis().info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0)

    for _ in range(50):
        pacing.wait_for(MODEL, 1)

    assert quick_redis().info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0) == before


def test_a_clock_that_was_put_back_holds_nobody() -> None:
    pacing.slow_down(MODEL, 5)
    key = f"claudeapp:pace:{MODEL}"
    quick_redis().hset(key, mapping={"at": time.time() + 3600, "hold": time.time() + 3605})

    assert pacing.wait_for(MODEL, 1, holder="a") == 0


def test_a_place_that_was_given_before_a_clock_was_put_back_keeps_nobody_for_as_much_longer() -> None:
    server = quick_redis()
    an_hour_ahead = RedisBuckets(server)
    an_hour_ahead._script = server.register_script(SCRIPT.replace("local now = ", "local now = 3600 + "))
    an_hour_ahead.hold(MODEL, 5)
    assert (an_hour_ahead.take(MODEL, 1, "a") or 0) >= 5

    now = RedisBuckets(server)
    now.hold(MODEL, 1)

    assert 1 <= (now.take(MODEL, 1, "a") or 0) < 2
