"""A process that competes for a budget: `python -m tests.costs.racer`, driven by lines on its standard input.

The first line says what to ask for; each further line is a phase, answered by one line of JSON:
ask, run what was accepted, and look after batches as often as there are lines.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import django


def say(answer: object) -> None:
    """One line of JSON for whoever started this process."""
    sys.stdout.write(f"{json.dumps(answer)}\n")
    sys.stdout.flush()


def main() -> None:
    django.setup()
    from core.costs.budgets import OverBudgetError
    from core.intake.accept import accept
    from core.models import Call, Prompt, User
    from tests.lanes import run, tend

    asked: dict[str, Any] = json.loads(sys.stdin.readline())
    version = Prompt.objects.get(pk=asked["prompt"]).published
    user = User.objects.get(pk=asked["user"])
    assert version is not None
    say("ready")
    accepted: list[Call] = []
    refused = 0
    sys.stdin.readline()
    for _ in range(asked["times"]):
        try:
            accepted.append(accept(version, asked["inputs"], user=user, lane=asked["lane"]))
        except OverBudgetError:
            refused += 1
    say([len(accepted), refused])
    sys.stdin.readline()
    say([run(call) for call in accepted])
    for _ in sys.stdin:
        tend()
        say("tended")


if __name__ == "__main__":
    main()
