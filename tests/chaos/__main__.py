"""`python -m tests.chaos storm --calls 2000 --seed 1`: the long storm, with servers of its own, all of them killed.

`python -m tests.chaos table --rows 5000` kills all at each step of a table, and `python -m tests.chaos gate` sends
1,000 calls through an upstream that lets 60 a minute pass.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from typing import Any

# Seconds until a table is given up. What the leases of eight blows take is a minute or two; beside other heavy work on
# two processors it was 292 seconds once, and more than 300 another time.
TABLE_PATIENCE = 900.0


def main() -> None:
    arguments = _parser().parse_args()
    os.environ["TEST_DATABASE"] = arguments.database
    # Only now may anything be read that looks at the environment.
    from tests import environment

    environment.pytest_configure()
    try:
        found = _run(arguments)
    finally:
        environment.pytest_unconfigure()
    print(json.dumps(found, indent=2))  # noqa: T201 - this is a program
    sys.exit(1 if found["wrong"] else 0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    kinds = parser.add_subparsers(dest="kind", required=True)
    storm, gate, table = (kinds.add_parser(kind) for kind in ("storm", "gate", "table"))
    storm.add_argument("--calls", type=int, default=2000)
    storm.add_argument("--blows", type=int, default=40)
    storm.add_argument("--seed", type=int, default=1)
    gate.add_argument("--calls", type=int, default=1000)
    gate.add_argument("--per-minute", type=int, default=60)
    table.add_argument("--rows", type=int, default=5000)
    table.add_argument("--live-rows", type=int, default=300, help="of another table, which is answered at once")
    table.add_argument("--seed", type=int, default=1)
    for each in (storm, gate, table):
        each.add_argument("--workers", type=int, default=3)
        each.add_argument("--database", choices=["postgres", "sqlite"], default="postgres")
    return parser


def _run(arguments: argparse.Namespace) -> dict[str, Any]:
    import django

    django.setup()
    from django.conf import settings
    from django.core.management import call_command

    from core.simulator.server import Simulator
    from tests import environment

    call_command("migrate", verbosity=0)
    port = int(settings.ANTHROPIC_BASE_URL.rsplit(":", 1)[1])
    with Simulator(port=port) as simulator, environment.another_redis("chaos") as redis:
        url = f"unix://{redis.unix_socket_path}"
        settings.REDIS_URL = url
        for queue in settings.RQ_QUEUES.values():
            queue["URL"] = url
        began = time.monotonic()
        kinds = {"storm": _storm, "gate": _gate, "table": _table}
        found = kinds[arguments.kind](arguments, simulator, redis, url)
        return {"all seconds": round(time.monotonic() - began), **found}


def _storm(arguments: argparse.Namespace, simulator: Any, redis: Any, url: str) -> dict[str, Any]:
    from core.intake.keys import make_key
    from tests import environment
    from tests.chaos.storm import Storm

    prompt, person = _filled()
    storm = Storm(
        calls=arguments.calls,
        seed=arguments.seed,
        blows=arguments.blows,
        processes=_processes(arguments, url),
        redis=redis,
        simulator=simulator,
        prompt=prompt,
        key=make_key("Storm", person, by=None)[1],
        cluster=environment.cluster,
    )
    storm.rage()
    return {"seed": arguments.seed, **storm.reckoning()}


def _table(arguments: argparse.Namespace, simulator: Any, redis: Any, url: str) -> dict[str, Any]:
    from tests.chaos.tables import TableStorm

    prompt, person = _filled()
    simulator.state.batches.seconds = 3
    storm = TableStorm(
        arguments.rows,
        arguments.seed,
        _processes(arguments, url),
        redis,
        simulator,
        prompt,
        person,
        live_rows=arguments.live_rows,
        patience=TABLE_PATIENCE,
    )
    storm.rage()
    return {"seed": arguments.seed, **storm.reckoning()}


def _gate(arguments: argparse.Namespace, simulator: Any, _redis: Any, url: str) -> dict[str, Any]:
    from tests.chaos.gate import Gate

    prompt, person = _filled()
    processes = _processes(arguments, url)
    return Gate(arguments.calls, arguments.per_minute, simulator, prompt, person, processes).pass_all()


def _processes(arguments: argparse.Namespace, url: str) -> Any:
    from tests import environment
    from tests.chaos.storm import Processes

    log = environment.FOLDER / "processes.log"
    return Processes(os.environ["DATABASE_URL"], url, log, arguments.workers, environment.free_port())


def _filled() -> tuple[Any, Any]:
    """A prompt, and a person who may use it."""
    from core.costs import prices
    from core.models import Budget, ClaudeModel, Prompt, User, Variable
    from core.routing.catalogue import sync_models

    sync_models()
    prices.load(prices.pending_changes())
    person = User.objects.create_user("storm", "storm@example.org", "secret")
    Budget.objects.create(name="All", scope=Budget.Scope.ORGANISATION, amount=100_000, owner=person)
    model = ClaudeModel.objects.get(pk="claude-haiku-5-5")
    text = "Summarise this text in a {{length}} form:\n\n{{document}}"
    prompt = Prompt.objects.create(name="Storm", slug="storm", template=text, model=model, max_tokens=1000)
    for name in ("document", "length"):
        Variable.objects.create(prompt=prompt, name=name, label=name, kind=Variable.Kind.LONG_TEXT)
    prompt.publish(None)
    return prompt, person


if __name__ == "__main__":
    main()
