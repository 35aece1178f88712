from __future__ import annotations

import pytest

from core.intake.keys import make_key
from core.models import Key, User


@pytest.fixture
def secret(catalogue: None, member: User) -> str:
    """A key that is served as the SDK without retries of its own expects: one try."""
    _, text = make_key("SDK", user=member, by=member)
    Key.objects.update(attempts=1)
    return str(text)
