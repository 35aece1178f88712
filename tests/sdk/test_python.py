from __future__ import annotations

import asyncio
import inspect
from typing import Any

import anthropic
import pytest

from core.simulator.server import Simulator
from tests.sdk.scenarios import SCENARIOS


def outcome(name: str, client: Any, simulator: Simulator) -> Any:
    """What the scenario answers, with a simulator whose prompt cache and counters are as new."""
    simulator.state.clear()

    async def run() -> Any:
        try:
            return await SCENARIOS[name](client)
        finally:
            closed = client.close()
            if inspect.isawaitable(closed):
                await closed

    return asyncio.run(run())


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", [anthropic.Anthropic, anthropic.AsyncAnthropic])
def test_the_sdk_gets_the_same_from_the_gateway_as_from_claude(
    kind: type[Any], simulator: Simulator, gateway: str, secret: str
) -> None:
    for name in SCENARIOS:
        direct = outcome(name, kind(base_url=simulator.url, api_key="sk-direct", max_retries=0), simulator)
        through = outcome(name, kind(base_url=gateway, api_key=secret, max_retries=0), simulator)

        assert through == direct, name


def test_every_scenario_is_written_for_both_clients() -> None:
    assert all(inspect.iscoroutinefunction(scenario) for scenario in SCENARIOS.values())
