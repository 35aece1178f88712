"""A process that follows what is published: `python -m tests.routing.follower`, driven by lines on its standard input.

Each line is a name; the answer is a line of JSON: the models that it leads to, and the statements it took to know.
"""

from __future__ import annotations

import json
import sys

import django


def main() -> None:
    django.setup()
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from core.routing.choose import UnknownModelError, plan

    for line in sys.stdin:
        with CaptureQueriesContext(connection) as asked:
            try:
                models = sorted(plan(line.strip()).models)
            except UnknownModelError:
                models = []
        sys.stdout.write(f"{json.dumps([models, len(asked)])}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
