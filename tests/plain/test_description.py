"""Is the plain API what its description says, whatever somebody sends? schemathesis makes it up from the description.

`CLAUDEAPP_SCHEMA_EXAMPLES=300` looks further than the suite has time for.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import BaseSchema, Case, GenerationMode

from claudeapp.wsgi import application
from core.models import Call
from tests.plain.conftest import Script

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("one_transaction", "simulator", "ready_made")]

EXAMPLES = int(os.environ.get("CLAUDEAPP_SCHEMA_EXAMPLES", "6"))
OPERATIONS = [
    ("POST", "/api/chat"),
    ("POST", "/api/calls"),
    ("GET", "/api/calls"),
    ("GET", "/api/calls/{call_id}"),
    ("GET", "/api/calls/{call_id}/events"),
    ("DELETE", "/api/calls/{call_id}"),
    ("POST", "/api/bulk"),
    ("GET", "/api/bulk"),
    ("GET", "/api/bulk/{bulk_id}"),
    ("GET", "/api/bulk/{bulk_id}/results"),
    ("DELETE", "/api/bulk/{bulk_id}"),
    ("GET", "/api/prompts"),
]


@pytest.fixture
def description(db: None) -> BaseSchema:
    return schemathesis.openapi.from_wsgi("/api/openapi.json", application)


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_answer_is_as_described(
    description: BaseSchema, script: Script, ended: Call, method: str, path: str, mode: GenerationMode
) -> None:
    operation = description[path][method]
    # What schemathesis makes up is no call of this key; half of the time there is one.
    known = {"call_id": str(ended.pk)} if "{" in path and mode is GenerationMode.POSITIVE else None

    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(case=operation.as_strategy(generation_mode=mode, path_parameters=known))
    def look(case: Case[Any]) -> None:
        case.call_and_validate(headers={"Authorization": f"Bearer {script.secret}"})

    look()


@pytest.fixture
def ended(script: Script) -> Call:
    return Call.objects.create(key=script.key, user=script.key.user, status=Call.Status.CANCELED)
