from __future__ import annotations

import pytest
from pytest_django import Settings

from core.intake.keys import make_key
from core.models import Key, User


@pytest.fixture(autouse=True)
def _patient_breaker(settings: Settings) -> None:
    """The scenarios in which Claude fails must not keep the next ones from Claude."""
    settings.BREAKER_FAILURES = 1000


@pytest.fixture
def secret(catalogue: None, member: User) -> str:
    """A key that is served as the SDK without retries of its own expects: one try."""
    _, text = make_key("SDK", user=member, by=member)
    Key.objects.update(attempts=1)
    return str(text)
