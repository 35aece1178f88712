"""Does the comparison with the provider's report find what differs, all of it and nothing else?"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from decimal import Decimal
from io import StringIO
from typing import Any

import httpx2
import pytest
from django.core.mail import EmailMessage
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django import Settings

from core.claude import client
from core.claude.errors import ClaudeError
from core.claude.organisation import reported_costs
from core.costs.corrections import CorrectionError, correct, fill_unknown
from core.costs.ledger import Exchange, book
from core.costs.reconciliation import Ours, compare, fill_in, newest, ours_of, proposal, reconcile
from core.execution.run import run_call
from core.intake.accept import accept
from core.jobs.housekeeping import reconcile_days
from core.jobs.reconciling import UntoldError
from core.models import Alarm, Call, ClaudeModel, CostRecord, Prompt, Reconciliation, ReconciliationLine, User
from core.simulator.server import Simulator

Verdict = ReconciliationLine.Verdict
HAIKU, SONNET, OPUS = "claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5"
# More than the traffic of a day takes.
MOST_SECONDS_OF_TRAFFIC = 30
FABLE, MYTHOS, OLD_OPUS = "claude-fable-5-2", "claude-mythos-5-2", "claude-opus-5"
ONE, CENT, NONE = Decimal(1), Decimal("0.01"), Decimal(0)


@pytest.mark.parametrize(
    ("ours", "theirs", "verdict"),
    [
        (Ours(ONE), ONE, Verdict.MATCHED),
        (Ours(ONE), ONE + CENT, Verdict.MATCHED),
        (Ours(ONE), ONE - CENT, Verdict.MATCHED),
        (Ours(ONE), ONE + CENT + Decimal("0.0000000001"), Verdict.PRICE_DIFFERS),
        (Ours(ONE), ONE - CENT - Decimal("0.0000000001"), Verdict.PRICE_DIFFERS),
        # A model that one side lacks is a difference, however small.
        (Ours(Decimal("0.001")), None, Verdict.OURS_ONLY),
        (Ours(Decimal("0.001")), NONE, Verdict.OURS_ONLY),
        (Ours(), Decimal("0.001"), Verdict.THEIRS_ONLY),
        (Ours(NONE), Decimal("0.001"), Verdict.THEIRS_ONLY),
        # What cost nothing is on neither bill.
        (Ours(NONE), None, Verdict.MATCHED),
        (Ours(), NONE, Verdict.MATCHED),
        # Unknown costs explain more on their side, and less never.
        (Ours(ONE, 1, ONE), ONE * 2, Verdict.UNKNOWN_HERE),
        (Ours(ONE, 1, ONE), ONE + Decimal("0.001"), Verdict.UNKNOWN_HERE),
        (Ours(None, 2, ONE), ONE, Verdict.UNKNOWN_HERE),
        (Ours(ONE, 1, None), ONE * 1000, Verdict.UNKNOWN_HERE),
        (Ours(ONE, 1, ONE), ONE * 2 + CENT * 2, Verdict.PRICE_DIFFERS),
        (Ours(ONE, 1, ONE), ONE - CENT * 2, Verdict.PRICE_DIFFERS),
        (Ours(None, 1, ONE), ONE * 2, Verdict.PRICE_DIFFERS),
        # What was never billed was cut off before anything was made.
        (Ours(None, 1, ONE), None, Verdict.MATCHED),
        (Ours(ONE, 1, ONE), None, Verdict.OURS_ONLY),
    ],
)
def test_each_pair_of_amounts_has_its_verdict(ours: Ours, theirs: Decimal | None, verdict: str) -> None:
    lines = compare({"m": ours}, {} if theirs is None else {"m": theirs}, CENT)

    assert [(line.model, line.verdict) for line in lines] == [("m", verdict)]


class Traffic:
    """Makes calls and runs them, for real, against the simulator."""

    def __init__(self, prompt: Prompt, member: User, simulator: Simulator) -> None:
        self.prompt, self.member, self.simulator = prompt, member, simulator
        self.clear()

    def clear(self) -> None:
        httpx2.delete(f"{self.simulator.url}/_simulator/bill")

    def call(self, model: str, directive: str = "") -> Call:
        text = f"[[simulate: {directive}]] A text about rivers." if directive else "A text about rivers."
        assert self.prompt.published is not None
        call = accept(self.prompt.published, {"document": text, "length": "short"}, user=self.member)
        Call.objects.filter(pk=call.pk).update(request={**call.request, "model": model})
        return call

    def run(self, model: str, directive: str = "") -> None:
        run_call(self.call(model, directive).pk)

    def batch(self, model: str) -> None:
        call = self.call(model)
        call.refresh_from_db()
        batches = client.sdk().messages.batches
        made = batches.create(requests=[{"custom_id": "row", "params": call.request}])
        (line,) = batches.results(made.id)
        assert line.result.type == "succeeded"
        usage = line.result.message.usage.to_dict()
        book(call, Exchange(model, request_id=f"{made.id}/row", raw_usage=usage, complete=True))

    def plant(self, **body: str) -> None:
        assert httpx2.post(f"{self.simulator.url}/_simulator/differences", json=body).status_code == 200

    def billed(self, model: str, *, seen: bool | None = None) -> Decimal:
        entries = httpx2.get(f"{self.simulator.url}/_simulator/bill").json()["entries"]
        chosen = [entry for entry in entries if entry["model"] == model and seen in (None, entry["seen"])]
        return sum((Decimal(entry["amount_usd"]) for entry in chosen), NONE)


@pytest.fixture
def traffic(prompt: Prompt, member: User, simulator: Simulator) -> Traffic:
    """All of it is of one day of the provider's: shortly before its midnight the test waits for the next one."""
    midnight = dt.datetime.combine(timezone.now().date() + dt.timedelta(days=1), dt.time.min, dt.UTC)
    left = (midnight - timezone.now()).total_seconds()
    if left < MOST_SECONDS_OF_TRAFFIC:
        time.sleep(left + 0.01)
    return Traffic(prompt, member, simulator)


@pytest.fixture
def mixed_day(traffic: Traffic) -> dt.date:
    """Successes on several models, failures that cost nothing, streams whose usage never came, a batch, demo data."""
    day = timezone.now().date()
    for model in (HAIKU, HAIKU, SONNET, OPUS, FABLE):
        traffic.run(model)
    traffic.run(MYTHOS, "status=400")
    traffic.run(SONNET, "drop")
    traffic.run(FABLE, "cut after=5")
    traffic.batch(HAIKU)
    traffic.batch(OLD_OPUS)
    demo = CostRecord.objects.filter(model=OPUS).get().call
    CostRecord.objects.create(call=demo, model=OPUS, attempt=9, request_id="demo", amount=Decimal(7), demo=True)
    assert timezone.now().date() == day
    return day


def verdicts(made: Reconciliation) -> dict[str, str]:
    assert made.error == ""
    return {line.model: line.verdict for line in made.lines.all()}


AS_IT_WAS = {HAIKU: "matched", SONNET: "matched", OPUS: "matched", OLD_OPUS: "matched", FABLE: "unknown_here"}


def test_nothing_is_found_but_what_the_unknown_costs_explain(mixed_day: dt.date, traffic: Traffic) -> None:
    made = reconcile(mixed_day, NONE)

    assert verdicts(made) == AS_IT_WAS
    lines = {line.model: line for line in made.lines.all()}
    assert lines[HAIKU].ours == lines[HAIKU].theirs == traffic.billed(HAIKU)
    assert lines[OPUS].ours == traffic.billed(OPUS), "the demo's record is not among them"
    assert (lines[FABLE].theirs, lines[FABLE].unknown) == (traffic.billed(FABLE), 1)
    assert lines[SONNET].unknown == 1


def test_each_planted_difference_is_found_and_nothing_else(mixed_day: dt.date, traffic: Traffic) -> None:
    traffic.plant(kind="drop", model=OLD_OPUS)
    traffic.plant(kind="extra", model=MYTHOS, usd="0.0001")
    traffic.plant(kind="scale", model=OPUS, factor="1.0001")
    traffic.plant(kind="scale", model=HAIKU, factor="0.5")

    made = reconcile(mixed_day, NONE)

    planted = {OLD_OPUS: "ours_only", MYTHOS: "theirs_only", OPUS: "price_differs", HAIKU: "price_differs"}
    assert verdicts(made) == {**AS_IT_WAS, **planted}


def test_an_unknown_cost_explains_no_more_than_it_can_have_been(mixed_day: dt.date, traffic: Traffic) -> None:
    traffic.plant(kind="extra", model=FABLE, usd="20")

    assert verdicts(reconcile(mixed_day, NONE)) == {**AS_IT_WAS, FABLE: "price_differs"}


def test_the_one_unknown_cost_is_filled_in_from_the_report_and_then_all_match(
    mixed_day: dt.date, traffic: Traffic, finance: User
) -> None:
    line = reconcile(mixed_day, NONE).lines.get(model=FABLE)

    filled = fill_in(line, finance)

    assert filled.amount == traffic.billed(FABLE, seen=False) > 0
    assert (filled.source, filled.entered_by) == (CostRecord.Source.RECONCILED, finance)
    assert filled.corrects is not None
    assert filled.corrects.amount is None
    assert set(verdicts(reconcile(mixed_day, NONE)).values()) == {"matched"}
    with pytest.raises(CorrectionError):
        fill_in(line, finance)


def test_two_unknown_costs_are_nobodys_to_divide(traffic: Traffic) -> None:
    for _ in range(2):
        traffic.run(HAIKU, "cut after=5")

    line = reconcile(timezone.now().date(), NONE).lines.get()

    assert (line.verdict, line.unknown) == ("unknown_here", 2)
    assert proposal(line) is None


def test_only_the_newest_comparison_of_a_day_over_proposes_anything(traffic: Traffic, settings: Settings) -> None:
    traffic.run(HAIKU, "cut after=5")
    day = timezone.now().date()
    older, newer = reconcile(day), reconcile(day)

    assert list(newest()) == [newer]
    assert proposal(older.lines.get()) is None
    assert proposal(newer.lines.get()) is not None
    settings.SIMULATED = False  # the provider's own report of today is not whole yet
    assert proposal(newer.lines.get()) is None


@pytest.fixture
def book_at(traffic: Traffic) -> Callable[..., CostRecord]:
    def make(at: dt.datetime, amount: Decimal | None, model: str = HAIKU) -> CostRecord:
        reason = "" if amount is not None else "lost"
        call = traffic.call(model)
        return CostRecord.objects.create(call=call, model=model, at=at, amount=amount, unknown_reason=reason)

    return make


def test_the_day_is_the_providers_and_begins_at_midnight_utc(book_at: Callable[..., CostRecord]) -> None:
    """The tests' own time zone is Berlin, where these two are of the same day."""
    book_at(dt.datetime(2026, 11, 10, 23, 59, 59, tzinfo=dt.UTC), Decimal(1))
    book_at(dt.datetime(2026, 11, 11, 0, 0, 0, tzinfo=dt.UTC), Decimal(2))

    assert ours_of(dt.date(2026, 11, 10)) == {HAIKU: Ours(Decimal(1))}
    assert ours_of(dt.date(2026, 11, 11)) == {HAIKU: Ours(Decimal(2))}


def test_what_is_put_right_later_counts_on_the_day_of_the_exchange(
    book_at: Callable[..., CostRecord], finance: User
) -> None:
    day = dt.date(2026, 11, 10)
    noon = dt.datetime(2026, 11, 10, 12, tzinfo=dt.UTC)
    lost, wrong = book_at(noon, None), book_at(noon, Decimal(5))
    book_at(noon, None)
    fill_unknown(lost, amount=Decimal(2), note="From the console", by=finance)
    correct(correct(wrong, Decimal(3), "Wrong price", finance), Decimal(4), "Wrong again", finance)

    found = ours_of(day)[HAIKU]

    assert (found.amount, found.unknown) == (Decimal(6), 1)
    assert ours_of(timezone.now().date()) == {}


def test_fractional_cents_are_summed_exactly(traffic: Traffic) -> None:
    traffic.plant(kind="extra", model=HAIKU, usd="0.0000000001")
    traffic.plant(kind="extra", model=HAIKU, usd="0.1")

    assert reported_costs(timezone.now().date()) == {HAIKU: Decimal("0.1000000001")}


def test_without_an_admin_key_the_reason_is_kept_and_nothing_is_compared(traffic: Traffic, settings: Settings) -> None:
    settings.SIMULATED = False

    made = reconcile(timezone.now().date())

    assert "ANTHROPIC_ADMIN_KEY is not set" in made.error
    assert not made.lines.exists()


def test_a_key_that_is_no_admin_key_is_said_to_be_none(traffic: Traffic, settings: Settings) -> None:
    settings.ANTHROPIC_ADMIN_KEY = "sk-ant-api03-not-admin"

    with pytest.raises(ClaudeError, match="permission_error") as raised:
        reported_costs(timezone.now().date())
    assert "api03" not in str(raised.value)


# --- The command ---


def run_command(*args: str) -> tuple[int, str]:
    out = StringIO()
    try:
        call_command("reconcile", *args, stdout=out)
    except SystemExit as end:
        return int(end.code or 0), out.getvalue()
    except CommandError as error:
        return error.returncode, str(error)
    return 0, out.getvalue()


def test_the_command_tells_a_difference_from_agreement(traffic: Traffic) -> None:
    traffic.run(HAIKU)
    assert run_command("today") == (0, run_command(timezone.now().date().isoformat())[1])

    traffic.plant(kind="extra", model=HAIKU, usd="0.005")
    code, text = run_command("today")
    assert (code, "matched" in text) == (0, True)
    code, text = run_command("today", "--tolerance", "0")
    assert (code, "the amounts differ" in text, "0.005" in text) == (1, True, True)


def test_the_command_says_when_it_could_not_compare(traffic: Traffic, settings: Settings) -> None:
    settings.SIMULATED = False
    code, text = run_command("yesterday")
    assert (code, "ANTHROPIC_ADMIN_KEY" in text) == (2, True)


@pytest.mark.parametrize(
    "args", [("2999-01-01",), ("soon",), ("today", "--tolerance", "-1"), ("today", "--tolerance", "1e-11")]
)
def test_the_command_refuses_what_makes_no_sense(args: tuple[str, ...], traffic: Traffic) -> None:
    code, _ = run_command(*args)
    assert code != 0
    assert not Reconciliation.objects.exists()


# --- The daily job ---


@pytest.fixture
def yesterdays_cost(book_at: Callable[..., CostRecord]) -> CostRecord:
    return book_at(timezone.now() - dt.timedelta(days=1), Decimal(1))


def test_the_daily_job_compares_two_days_and_tells_those_who_can_act_once(
    yesterdays_cost: CostRecord, person: Any, member: User, mailoutbox: list[EmailMessage], settings: Settings
) -> None:
    administrator = person("boss", "Administrator", staff=True)
    assert administrator.has_perm("core.correct_cost")
    settings.RECONCILE_ALERT_TO = []

    reconcile_days()
    reconcile_days()

    assert Reconciliation.objects.count() == 4
    (mail,) = mailoutbox
    assert administrator.email in mail.to
    assert member.email not in mail.to
    assert HAIKU in str(mail.body)
    assert "Only in our ledger" in str(mail.body)


def test_who_is_told_can_be_set(
    yesterdays_cost: CostRecord, mailoutbox: list[EmailMessage], settings: Settings
) -> None:
    settings.RECONCILE_ALERT_TO = ["money@example.org"]
    reconcile_days()
    assert [mail.to for mail in mailoutbox] == [["money@example.org"]]


def test_a_new_difference_is_told_again(
    yesterdays_cost: CostRecord,
    book_at: Callable[..., CostRecord],
    mailoutbox: list[EmailMessage],
    settings: Settings,
) -> None:
    settings.RECONCILE_ALERT_TO = ["money@example.org"]
    reconcile_days()
    ClaudeModel.objects.get(pk=OPUS)
    book_at(timezone.now() - dt.timedelta(days=1), Decimal(2), OPUS)
    reconcile_days()
    assert len(mailoutbox) == 2


def test_an_error_is_told_once_and_kept_each_time(
    traffic: Traffic, mailoutbox: list[EmailMessage], settings: Settings
) -> None:
    settings.RECONCILE_ALERT_TO, settings.SIMULATED = ["money@example.org"], False
    reconcile_days()
    reconcile_days()
    assert len(mailoutbox) == 1
    assert Reconciliation.objects.exclude(error="").count() == 4


def test_a_day_on_which_all_matches_is_told_to_nobody(
    traffic: Traffic, mailoutbox: list[EmailMessage], settings: Settings
) -> None:
    settings.RECONCILE_ALERT_TO = ["money@example.org"]
    reconcile_days()
    assert mailoutbox == []


def test_a_mail_server_that_is_away_stops_nothing_and_all_is_told_once_when_it_is_back(
    yesterdays_cost: CostRecord, mailoutbox: list[EmailMessage], settings: Settings
) -> None:
    back = settings.EMAIL_BACKEND
    settings.RECONCILE_ALERT_TO = ["money@example.org"]
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    for times in (1, 2):
        with pytest.raises(UntoldError, match="Nobody could be told"):
            reconcile_days()
        assert Reconciliation.objects.count() == 2 * times
    settings.EMAIL_BACKEND = back
    reconcile_days()
    reconcile_days()
    assert len(mailoutbox) == 1
    assert not Alarm.objects.exists()
