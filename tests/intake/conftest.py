"""A key for the tests of this room."""

from __future__ import annotations

import pytest

from core.intake.keys import make_key
from core.models import Key, User


@pytest.fixture
def made(member: User) -> tuple[Key, str]:
    """A key and its text."""
    return make_key("Nightly report", member, by=None)


@pytest.fixture
def key(made: tuple[Key, str]) -> Key:
    return made[0]
