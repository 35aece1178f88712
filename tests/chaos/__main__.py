"""`python -m tests.chaos --calls 2000 --seed 1`: the long storm, with servers of its own, all of them killed."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from typing import Any


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--blows", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--database", choices=["postgres", "sqlite"], default="postgres")
    arguments = parser.parse_args()
    os.environ["TEST_DATABASE"] = arguments.database
    # Only now may anything be read that looks at the environment.
    from tests import environment

    environment.pytest_configure()
    try:
        found = _storm(arguments)
    finally:
        environment.pytest_unconfigure()
    print(json.dumps(found, indent=2))  # noqa: T201 - this is a program
    sys.exit(1 if found["wrong"] else 0)


def _storm(arguments: argparse.Namespace) -> dict[str, object]:
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
        storm = _made(arguments, simulator, redis, url)
        began = time.monotonic()
        storm.rage()
        return {"seconds": round(time.monotonic() - began), "seed": arguments.seed, **storm.reckoning()}


def _made(arguments: argparse.Namespace, simulator: Any, redis: Any, url: str) -> Any:
    from core.costs import prices
    from core.models import Budget, ClaudeModel, Prompt, User, Variable
    from core.routing.catalogue import sync_models
    from tests import environment
    from tests.chaos.storm import Storm

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
    return Storm(
        calls=arguments.calls,
        seed=arguments.seed,
        blows=arguments.blows,
        database_url=os.environ["DATABASE_URL"],
        redis_url=url,
        redis=redis,
        simulator=simulator,
        prompt=prompt,
        person=person,
        log=environment.FOLDER / "workers.log",
        cluster=environment.cluster,
        workers=arguments.workers,
    )


if __name__ == "__main__":
    main()
