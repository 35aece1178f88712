"""What is left behind by programs that leave in the middle of a stream? Nothing, and each call is settled."""

from __future__ import annotations

import threading
from decimal import Decimal

import httpx2
import pytest
from django.db import connection
from django.db.models import Sum
from django.test import Client

from core.models import Budget, BudgetWindow, Call, CostRecord, Reservation
from core.simulator.server import Simulator
from tests.gateway.conftest import MOST_AT_ONCE, Program, Server, question, until

pytestmark = pytest.mark.django_db(transaction=True)

CLIENTS = MOST_AT_ONCE
TEXT = "[[simulate: long tokens=400]] [[simulate: slow seconds=0.2]] Tell me."


def leave(server: Server, program: Program) -> None:
    """Begin a stream, read its beginning, and hang up."""
    with (
        httpx2.Client(timeout=20) as client,
        client.stream(
            "POST", f"{server.url}/v1/messages", json=question(TEXT, stream=True), headers=program.headers()
        ) as answer,
    ):
        assert answer.status_code == 200
        next(answer.iter_raw(16))


def all_ended() -> bool:
    return Call.objects.filter(status__in=Call.FINISHED).count() == CLIENTS


def test_fifty_programs_that_leave_leave_nothing_behind(server: Server, program: Program, simulated: Simulator) -> None:
    Budget.objects.create(name="All", scope=Budget.Scope.ORGANISATION, amount=1000, owner=program.key.user)
    leave(server, program)
    until(lambda: Call.objects.get().finished, "the first settlement")
    idle, connected = server.threads(), server.clients()

    programs = [threading.Thread(target=leave, args=(server, program)) for _ in range(CLIENTS - 1)]
    for each in programs:
        each.start()
    for each in programs:
        each.join()

    until(all_ended, "all settlements")
    assert set(Call.objects.values_list("status", flat=True)) == {Call.Status.SUCCEEDED}
    assert CostRecord.objects.filter(amount=None).count() == 0
    spent = CostRecord.objects.aggregate(spent=Sum("amount"))["spent"]
    assert spent == Decimal(simulated.bill()["total_usd"])
    assert not Reservation.objects.filter(released_at=None).exists()
    window = BudgetWindow.objects.get()
    assert (window.reserved, window.spent) == (Decimal(0), spent)
    until(lambda: server.clients() <= connected, "the connections' end")
    # The threads of the pool are kept; those of the streams are gone.
    until(lambda: server.threads() <= idle + server.pool, "the threads' end")
    if connection.vendor == "postgresql":
        until(lambda: connections_at_work() == 0, "the database connections' end")


def connections_at_work() -> int:
    """Others' connections that are in the middle of something."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
            "AND state <> 'idle'"
        )
        return int(cursor.fetchone()[0])


def test_a_key_may_have_the_answer_stopped_instead(
    server: Server, program: Program, simulated: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Tokens a second: who serves by threads learns that nobody reads when it writes.
    monkeypatch.setattr(simulated.state, "pace", 300.0)
    program.key.cancel_when_left = True
    program.key.save()
    body = question("[[simulate: long tokens=4000]] Tell me.", max_tokens=4000, stream=True)
    headers = program.headers(**{"idempotency-key": "story"})

    with (
        httpx2.Client(timeout=20) as client,
        client.stream("POST", f"{server.url}/v1/messages", json=body, headers=headers) as answer,
    ):
        next(answer.iter_raw(16))

    until(lambda: Call.objects.get().finished, "the settlement")
    assert Call.objects.get().status != Call.Status.SUCCEEDED
    assert CostRecord.objects.get().amount is None
    # Its name does not keep it from an answer.
    monkeypatch.setattr(simulated.state, "pace", 0)
    again = httpx2.post(f"{server.url}/v1/messages", json=body, headers=headers, timeout=20)
    assert again.text.rstrip().endswith('{"type": "message_stop"}')


def test_nobody_reads_a_stream_that_never_began(client: Client, program: Program, simulated: Simulator) -> None:
    """The response is made, and dropped before the server reads any of it."""
    answer = client.post(
        "/v1/messages", question(TEXT, stream=True), content_type="application/json", headers=program.headers()
    )
    answer.close()

    until(lambda: Call.objects.get().finished, "the settlement")
    assert Call.objects.get().status == Call.Status.SUCCEEDED
