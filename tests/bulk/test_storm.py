"""Does every row of a table end exactly once when its worker and Redis are killed? `make chaos` also kills web."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import settings as django_settings
from pytest_django import Settings

from core.models import Budget, Prompt, User
from core.simulator.server import Simulator
from tests import environment
from tests.chaos.storm import Processes
from tests.chaos.tables import AT_ONCE, TableStorm
from tests.crash.test_killed_workers import address_of_the_tests_database


@pytest.mark.django_db(transaction=True)
def test_after_a_short_storm_each_row_has_ended_once_and_the_ledger_is_the_bill(
    prompt: Prompt, member: User, claude: Simulator, settings: Settings, tmp_path: Path
) -> None:
    claude.state.batches.seconds = 1
    Budget.objects.create(name="All", scope=Budget.Scope.ORGANISATION, amount=10_000, owner=member)
    with environment.another_redis("tables") as redis:
        url = f"unix://{redis.unix_socket_path}"
        settings.REDIS_URL = url
        settings.RQ_QUEUES = {name: {**queue, "URL": url} for name, queue in django_settings.RQ_QUEUES.items()}
        storm = TableStorm(
            rows=300,
            seed=7,
            processes=Processes(address_of_the_tests_database(), url, tmp_path / "log", port=environment.free_port()),
            redis=redis,
            simulator=claude,
            prompt=prompt,
            person=member,
            live_rows=20,
            steps=("with Claude",),
            with_web=False,
            patience=240,
        )

        storm.rage()

    found = storm.reckoning()
    assert found["wrong"] == [], (tmp_path / "log").read_text()[-4000:]
    assert sum(found["calls"].values()) > 270
    assert found["struck"]["with Claude"] == 1
    assert found["struck"][AT_ONCE] >= 1
