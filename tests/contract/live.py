"""Runs the contract tests against the real Claude API: `make test-live`."""

from __future__ import annotations

import os
import subprocess
import sys


def main() -> int:
    if not os.environ.get("ANTHROPIC_API_KEY"):
        print("Set ANTHROPIC_API_KEY: these tests ask the real Claude API.", file=sys.stderr)  # noqa: T201
        return 2
    print("About 15 requests to the real Claude API follow; together they cost less than one cent.", flush=True)  # noqa: T201
    return subprocess.call(
        [sys.executable, "-m", "pytest", "tests/contract", "-v", *sys.argv[1:]], env={**os.environ, "TEST_LIVE": "1"}
    )


if __name__ == "__main__":
    sys.exit(main())
