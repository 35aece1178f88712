from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from core.simulator.server import Simulator

FOLDER = Path(__file__).parent / "typescript"


def outcomes(address: str, key: str, simulator: Simulator) -> dict[str, Any]:
    program = ["node", "scenarios.mjs", address, key, f"{simulator.url}/_simulator/bill"]
    done = subprocess.run(program, cwd=FOLDER, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.mark.django_db(transaction=True)
def test_the_typescript_sdk_gets_the_same_from_the_gateway_as_from_claude(
    simulator: Simulator, gateway: str, secret: str
) -> None:
    direct = outcomes(simulator.url, "sk-direct", simulator)
    through = outcomes(gateway, secret, simulator)

    assert len(direct) > 20
    for name, expected in direct.items():
        assert through[name] == expected, name
