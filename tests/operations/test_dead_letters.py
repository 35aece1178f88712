"""What was given up in the queue: which calls are on the list, and what happens to them?"""

from __future__ import annotations

import datetime as dt
import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from django.db import connection
from django.utils import timezone

from core.chat.say import Message, begin
from core.chat.say import again as say_again
from core.execution.run import run_call
from core.execution.running import seconds_tried
from core.intake.accept import accept, run_again
from core.intake.again import NotAgainError, close_letters
from core.intake.requests import Asking, accept_request
from core.jobs.dispatch import in_queue
from core.jobs.sweeper import start_due
from core.models import (
    Batch,
    BatchRow,
    Budget,
    Call,
    CostRecord,
    FailedAttempt,
    Handling,
    Key,
    Prompt,
    Reservation,
    Turn,
    User,
)
from core.operations.dealing import dismiss, run_one_again
from core.operations.dealing import run_again as run_letters_again
from core.operations.letters import Kind, groups, letters_of
from core.simulator.server import Simulator
from tests.letters import ended_dead, given_up

HAIKU = "claude-haiku-5-5"


@pytest.fixture
def letter(prompt: Prompt, member: User) -> Call:
    return given_up(prompt, member)


def open_letters() -> set[object]:
    return set(Call.objects.letters().values_list("pk", flat=True))


def test_a_call_that_used_up_its_attempts_becomes_a_letter_by_itself(
    simulator: Simulator, prompt: Prompt, member: User, settings: object
) -> None:
    settings.CALL_ATTEMPTS = 1  # type: ignore[attr-defined]
    settings.BREAKER_FAILURES = 1000  # type: ignore[attr-defined]
    assert prompt.published is not None
    call = accept(prompt.published, {"document": "[[simulate: status=529]]", "length": "short"}, user=member)
    assert run_call(call.pk).status == Call.Status.DEAD
    assert open_letters() == {call.pk}
    assert [group.kind for group in groups(_all_seeing(member))] == [Kind("overloaded_error", HAIKU)]


def test_what_failed_for_good_or_was_told_to_a_waiting_program_is_no_letter(prompt: Prompt, member: User) -> None:
    assert prompt.published is not None
    inputs = {"document": "A text.", "length": "short"}
    failed = accept(prompt.published, inputs, user=member)
    claimed = Call.objects.claim(failed.pk, dt.timedelta(seconds=30))
    assert claimed is not None
    assert claimed.fail(Call.Status.FAILED, {"error_type": "invalid_request_error"})
    ended_dead(accept(prompt.published, inputs, user=member, lane=Call.Lane.SYNC))
    assert open_letters() == set()


def test_a_lost_call_that_may_not_run_again_is_a_letter(prompt: Prompt, member: User) -> None:
    assert prompt.published is not None
    call = accept(prompt.published, {"document": "A text.", "length": "short"}, user=member)
    claimed = Call.objects.claim(call.pk, dt.timedelta(seconds=-1))
    assert claimed is not None
    assert claimed.give_up({"error_type": "worker_lost"})
    assert open_letters() == {call.pk}


def test_kinds_say_number_age_and_cost_with_what_is_unknown(prompt: Prompt, member: User, operator: User) -> None:
    calls = [given_up(prompt, member), given_up(prompt, member), given_up(prompt, member, error_type="api_error")]
    book = {"user": member, "prompt": prompt, "model": HAIKU}
    CostRecord.objects.create(call=calls[0], amount=Decimal("0.25"), request_id="req_1", **book)
    CostRecord.objects.create(call=calls[1], unknown_reason="lost", **book)
    found = {group.kind.error: group for group in groups(operator)}
    assert {error: (group.number, group.cost, group.unknown) for error, group in found.items()} == {
        "overloaded_error": (2, Decimal("0.25"), 1),
        "api_error": (1, Decimal(0), 0),
    }
    assert found["overloaded_error"].oldest < found["overloaded_error"].newest


def test_others_see_the_letters_of_their_own_only(prompt: Prompt, letter: Call, outsider: User, operator: User) -> None:
    kind = Kind("overloaded_error", HAIKU)
    assert list(letters_of(operator, kind)) == [letter]
    assert not letters_of(outsider, kind).exists()
    assert groups(outsider) == []


def test_run_again_it_belongs_to_whoever_asked_and_leaves_the_list(letter: Call, operator: User) -> None:
    fresh = run_one_again(letter, by=operator)
    assert (fresh.user, fresh.again_of, fresh.inputs, fresh.status) == (
        letter.user, letter, letter.inputs, Call.Status.QUEUED,
    )  # fmt: skip
    assert open_letters() == set()
    handling = Handling.objects.get()
    assert (handling.call, handling.fresh, handling.by, handling.how) == (letter, fresh, operator, "again")


@pytest.mark.django_db(transaction=True)
def test_run_again_it_is_in_the_queue_once_that_is_committed(letter: Call, operator: User) -> None:
    fresh = run_one_again(letter, by=operator)
    assert f"call-{fresh.pk}" in in_queue()


def test_of_two_who_run_it_again_only_one_does(letter: Call, operator: User, administrator: User) -> None:
    stale = Call.objects.get(pk=letter.pk)
    run_one_again(letter, by=operator)
    with pytest.raises(NotAgainError, match="dealt with it meanwhile"):
        run_one_again(stale, by=administrator)
    assert Call.objects.filter(again_of=letter).count() == 1


def test_its_owner_running_it_again_takes_it_off_the_list_too(letter: Call, member: User) -> None:
    run_again(letter, user=member)
    assert open_letters() == set()
    assert Handling.objects.get().by == member


def test_killed_in_the_middle_each_is_run_again_once_when_it_is_done_anew(
    prompt: Prompt, member: User, operator: User
) -> None:
    """What was started is started, what was not is still on the list, and the second time does the rest."""
    letters = [given_up(prompt, member) for _ in range(5)]

    def killed_after_two() -> Iterator[Call]:
        yield from letters[:2]
        raise SystemExit

    with pytest.raises(SystemExit):
        run_letters_again(killed_after_two(), by=operator, per_minute=60)
    assert open_letters() == {letter.pk for letter in letters[2:]}

    done = run_letters_again(letters, by=operator, per_minute=60)

    assert (done.started, done.refused.total(), open_letters()) == (3, 2, set())
    assert [letter.reruns.count() for letter in letters] == [1] * 5
    assert Handling.objects.count() == 5


def test_at_a_pace_they_wait_in_the_database_and_each_starts_in_its_turn(
    prompt: Prompt, member: User, operator: User
) -> None:
    letters = [given_up(prompt, member) for _ in range(3)]
    began = timezone.now()
    done = run_letters_again(letters, by=operator, per_minute=30)
    assert (done.started, done.refused.total()) == (3, 0)
    fresh = [Call.objects.get(again_of=letter) for letter in letters]
    assert [call.status for call in fresh] == [Call.Status.QUEUED, Call.Status.WAITING, Call.Status.WAITING]
    waits = [(call.not_before - began).total_seconds() for call in fresh if call.not_before]
    assert waits == [pytest.approx(2, abs=1), pytest.approx(4, abs=1)]
    # Whoever presses once more, for there were many, does not double the pace.
    others = [given_up(prompt, member) for _ in range(2)]
    run_letters_again(others, by=operator, per_minute=30)
    later = [Call.objects.get(again_of=letter).not_before for letter in others]
    assert [(at - began).total_seconds() for at in later if at] == [pytest.approx(6, abs=1), pytest.approx(8, abs=1)]
    assert start_due() == 0
    due = timezone.now() - dt.timedelta(seconds=1)
    Call.objects.filter(pk=fresh[1].pk).update(not_before=due, dispatched_at=due)
    assert start_due() == 1


@pytest.mark.django_db(transaction=True)
def test_two_who_press_at_the_same_moment_keep_one_pace(prompt: Prompt, member: User, operator: User) -> None:
    for _ in range(6):
        given_up(prompt, member)
    start = threading.Barrier(2)

    def press() -> int:
        letters = list(Call.objects.letters().order_by("dead_since").select_related("user", "prompt", "version"))
        start.wait(10)
        try:
            return run_letters_again(letters, by=operator, per_minute=30).started
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        started = [pressed.result(30) for pressed in [pool.submit(press) for _ in range(2)]]

    places = sorted(at for at in Handling.objects.values_list("starts_at", flat=True) if at)
    assert (sum(started), len(places)) == (6, 6)
    apart = [(later - earlier).total_seconds() for earlier, later in itertools.pairwise(places)]
    assert apart == [pytest.approx(2, abs=0.01)] * 5


def test_a_turn_that_nobody_takes_any_more_keeps_no_other_waiting(prompt: Prompt, member: User, operator: User) -> None:
    run_letters_again([given_up(prompt, member) for _ in range(10)], by=operator, per_minute=1)
    for call in Call.objects.exclude(again_of=None):
        call.cancel()

    done = run_letters_again([given_up(prompt, member)], by=operator, per_minute=60)

    assert (done.started, done.last_at) == (1, None)


def test_the_time_until_its_turn_does_not_count_as_waiting(letter: Call, operator: User) -> None:
    fresh = run_one_again(letter, by=operator, at=timezone.now() + dt.timedelta(hours=5))
    Call.objects.filter(pk=fresh.pk).update(created_at=timezone.now() - dt.timedelta(days=3))
    fresh.refresh_from_db()
    assert seconds_tried(fresh) == pytest.approx(0, abs=0.1)


def test_over_budget_it_stays_a_letter_and_nothing_is_reserved(letter: Call, prompt: Prompt, operator: User) -> None:
    Budget.objects.create(
        name="Small", scope="prompt", prompt=prompt, amount=Decimal("0.0000001"), period="month", owner=operator,
        hard=True, starts_on=timezone.localdate(),
    )  # fmt: skip
    done = run_letters_again([letter], by=operator)
    assert done.started == 0
    assert next(iter(done.refused)).startswith("Over budget. The budget «Small» has no room")
    assert open_letters() == {letter.pk}
    assert not Call.objects.filter(again_of=letter).exists()
    assert not Reservation.objects.exists()


def test_it_reserves_anew(letter: Call, prompt: Prompt, operator: User) -> None:
    budget = Budget.objects.create(
        name="Large", scope="prompt", prompt=prompt, amount=Decimal(100), period="month", owner=operator, hard=True,
        starts_on=timezone.localdate(),
    )  # fmt: skip
    fresh = run_one_again(letter, by=operator)
    assert Reservation.objects.get(window__budget=budget).call == fresh


def test_what_came_from_a_program_runs_again_under_its_key(prompt: Prompt, member: User, operator: User) -> None:
    key = Key.objects.create(name="Nightly", user=member)
    body = {"model": HAIKU, "max_tokens": 50, "messages": [{"role": "user", "content": "Hello"}]}
    call = accept_request(body, Asking(member, key, Call.Door.API, Call.Lane.QUEUE))
    fresh = run_one_again(ended_dead(call), by=operator)
    assert (fresh.key, fresh.user, fresh.request, fresh.lane) == (key, member, body, Call.Lane.QUEUE)
    key.revoke()
    again = Call.objects.get(pk=fresh.pk)
    with pytest.raises(NotAgainError, match="key opens nothing"):
        run_one_again(ended_dead(again), by=operator)


def test_a_request_whose_image_was_not_kept_is_not_sent_without_it(
    prompt: Prompt, member: User, operator: User
) -> None:
    image = {"type": "base64", "media_type": "image/png", "data": "A" * 20_000}
    content = [{"type": "image", "source": image}, {"type": "text", "text": "What is this?"}]
    body = {"model": HAIKU, "max_tokens": 50, "messages": [{"role": "user", "content": content}]}
    call = ended_dead(accept_request(body, Asking(member, None, Call.Door.API, Call.Lane.QUEUE)))
    with pytest.raises(NotAgainError, match="images or files were not kept"):
        run_one_again(call, by=operator)
    assert open_letters() == {call.pk}


def test_who_may_not_sign_in_any_more_gets_no_answer(letter: Call, member: User, operator: User) -> None:
    User.objects.filter(pk=member.pk).update(is_active=False)
    with pytest.raises(NotAgainError, match="may not sign in"):
        run_one_again(Call.objects.get(pk=letter.pk), by=operator)


def test_a_row_of_a_table_runs_again_with_its_table_only(letter: Call, member: User, operator: User) -> None:
    batch = Batch.objects.create(user=member, live=True, rows=1)
    BatchRow.objects.create(call=letter, batch=batch, position=0, custom_id="row-1")
    with pytest.raises(NotAgainError, match="It is a row of a table"):
        run_one_again(letter, by=operator)
    rows = Call.objects.filter(batch_row__batch=batch)
    assert close_letters(rows, by=member, how=Handling.How.AGAIN, note="The rows were run again.") == 1
    assert open_letters() == set()


def test_a_message_of_a_chat_is_asked_again_there_and_going_on_deals_with_it(
    catalogue: None, member: User, operator: User
) -> None:
    turn = begin(member, None, Message("How tall is the tower?"), HAIKU)
    call = ended_dead(turn.call)
    with pytest.raises(NotAgainError, match="It belongs to a conversation"):
        run_one_again(call, by=operator)
    assert open_letters() == {call.pk}
    say_again(Turn.objects.get(pk=turn.pk))
    assert open_letters() == set()
    assert Handling.objects.get().by == member


def test_what_was_emptied_is_no_letter_any_more(letter: Call) -> None:
    assert Call.objects.filter(pk=letter.pk).empty() == 1
    assert open_letters() == set()


def test_dismissed_ones_leave_the_list_and_stay_in_the_history(prompt: Prompt, member: User, operator: User) -> None:
    letters = [given_up(prompt, member) for _ in range(3)]
    kept = given_up(prompt, member, error_type="api_error")
    kind = Kind("overloaded_error", HAIKU)
    assert dismiss(letters_of(operator, kind), by=operator, note="The model was retired") == 3
    assert open_letters() == {kept.pk}
    assert {row.call for row in Handling.objects.filter(how="dismissed", by=operator)} == set(letters)
    assert Call.objects.filter(status=Call.Status.DEAD).count() == 4
    assert dismiss(letters_of(operator, kind), by=operator, note="Again") == 0


def test_one_that_dies_again_is_a_letter_of_its_own(letter: Call, operator: User) -> None:
    fresh = run_one_again(letter, by=operator)
    ended_dead(fresh)
    assert open_letters() == {fresh.pk}
    assert not FailedAttempt.objects.filter(call=letter).exists()


def _all_seeing(user: User) -> User:
    User.objects.filter(pk=user.pk).update(is_superuser=True)
    return User.objects.get(pk=user.pk)
