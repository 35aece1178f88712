"""A process that competes for a budget: `python -m tests.costs.racer`, driven by lines on its standard input.

The first line says what to ask for; each further line is a phase, answered by one line of JSON.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import django


def main() -> None:
    django.setup()
    from core.costs.budgets import OverBudgetError
    from core.execution.run import run_call
    from core.intake.accept import accept
    from core.models import Call, Prompt, User

    asked: dict[str, Any] = json.loads(sys.stdin.readline())
    version = Prompt.objects.get(pk=asked["prompt"]).published
    user = User.objects.get(pk=asked["user"])
    assert version is not None
    print(json.dumps("ready"), flush=True)
    accepted: list[Call] = []
    refused = 0
    sys.stdin.readline()
    for _ in range(asked["times"]):
        try:
            accepted.append(accept(version, asked["inputs"], user=user, lane=asked["lane"]))
        except OverBudgetError:
            refused += 1
    print(json.dumps([len(accepted), refused]), flush=True)
    sys.stdin.readline()
    print(json.dumps([run_call(call.pk).status for call in accepted]), flush=True)


if __name__ == "__main__":
    main()
