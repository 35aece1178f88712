from __future__ import annotations

from typing import Any

import pytest

from core.models import Call, User
from core.simulator.server import Simulator
from tests.execution.programs import Ask


@pytest.fixture
def ask(catalogue: None, member: User, simulator: Simulator) -> Ask:
    """Stores a program's call, and empties the simulator's bill."""
    simulator.state.clear()

    def make(request: dict[str, Any], lane: str = Call.Lane.SYNC, **fields: Any) -> Call:
        return Call.objects.create(user=member, request=request, lane=lane, door=Call.Door.GATEWAY, **fields)

    return make
