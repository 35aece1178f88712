"""How long does a function take from cold to its first answer, beside a bare process that makes the same call?

Both are fresh processes, one after the other, against the simulator: the bare one sets up a Django of two apps, imports
the SDK, and calls. Seconds are from the start of the process to the answer, and mostly imports.
"""

from __future__ import annotations

import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from core.simulator.server import Simulator
from tests.bench.gateway.servers import free_port

ROUNDS = 7
_LINES = {"handler": "the handler", "bare": "a bare process", "more": "more"}
# Seconds by the clock, and of them those that the processor worked: on a busy machine only these can be compared.
Took = tuple[float, float]
# Seconds that the handler may take more than the bare process.
BOUND = 0.5
ROOT = Path(__file__).parents[2]

_PREPARE = """
from django.core.management import call_command
call_command("migrate", verbosity=0)
from core.routing.catalogue import sync_models
from core.costs import prices
from core.intake.keys import make_key
from core.models import User
sync_models()
prices.load(prices.pending_changes())
print(make_key("bench", User.objects.create_user("bench"), by=None)[1])
"""
_HANDLER = """
import json, os
from claudeapp.lambda_handler import handler
body = json.dumps({"prompt": "Hello.", "model": "claude-haiku-5-5", "max_tokens": 50})
answer = handler({"body": body, "headers": {"x-api-key": os.environ["BENCH_KEY"]}}, None)
assert answer["statusCode"] == 200, answer
"""
_BARE = """
import os
from django.conf import settings
settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
)
import django
django.setup()
import anthropic
client = anthropic.Anthropic(api_key="sk-simulated", base_url=os.environ["ANTHROPIC_BASE_URL"])
message = {"role": "user", "content": "Hello."}
assert client.messages.create(model="claude-haiku-5-5", max_tokens=50, messages=[message]).content
"""


def run(_arguments: Any) -> dict[str, Any]:
    """Medians in seconds of both, the difference, and what importing costs by package."""
    with tempfile.TemporaryDirectory(prefix="claudeapp-start-") as folder:
        port = free_port()
        simulator = Simulator(port=port, pace=0)
        simulator.start()
        try:
            env = _environment(Path(folder), port)
            env["BENCH_KEY"] = _python(_PREPARE, env, "manage.py", "shell", "--verbosity", "0", "-c").strip()
            rounds = [(_seconds(_HANDLER, env), _seconds(_BARE, env)) for _ in range(ROUNDS)]
            return {
                **_figures(rounds),
                "imports_ms": {"handler": _imports(_HANDLER, env), "bare": _imports(_BARE, env)},
            }
        finally:
            simulator.stop()


def as_table(figures: dict[str, Any]) -> str:
    handler, bare = figures["imports_ms"]["handler"], figures["imports_ms"]["bare"]
    lines = [
        "| from cold to the first answer | seconds | of them the processor's |",
        "|---|---|---|",
        *(f"| {name} | {figures[key]:.2f} | {figures[f'{key}_processor']:.2f} |" for key, name in _LINES.items()),
        "",
        "| imported package | ms in the handler | ms in the bare process |",
        "|---|---|---|",
    ]
    names = sorted({*handler, *bare}, key=lambda name: -max(handler.get(name, 0), bare.get(name, 0)))
    lines += [f"| {name} | {handler.get(name, 0)} | {bare.get(name, 0)} |" for name in names]
    return "\n".join(lines)


def holds(figures: dict[str, Any]) -> bool:
    return bool(figures["more"] <= BOUND)


def _figures(rounds: list[tuple[Took, Took]]) -> dict[str, Any]:
    # The first of each warms the disk.
    figures: dict[str, Any] = {"rounds": rounds}
    for index, what in enumerate(("", "_processor")):
        pairs = [(handler[index], bare[index]) for handler, bare in rounds[1:]]
        figures[f"handler{what}"] = round(statistics.median(handler for handler, _ in pairs), 3)
        figures[f"bare{what}"] = round(statistics.median(bare for _, bare in pairs), 3)
        figures[f"more{what}"] = round(statistics.median(handler - bare for handler, bare in pairs), 3)
    return figures


def _environment(folder: Path, port: int) -> dict[str, str]:
    """As a function has it: no Redis, no `.env`; a database that is there."""
    return {
        "PATH": os.environ["PATH"],
        "DJANGO_SETTINGS_MODULE": "claudeapp.settings",
        "SECRET_KEY": "only-for-benchmarks",
        "ALLOWED_HOSTS": "localhost",
        "DEBUG": "false",
        "ANTHROPIC_API_KEY": "sk-simulated",
        "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{port}",
        "DATABASE_URL": f"sqlite:///{folder}/start.sqlite3",
        "LOG_LEVEL": "ERROR",
    }


def _python(code: str, env: dict[str, str], *arguments: str) -> str:
    command = [sys.executable, *(arguments or ("-c",)), code]
    return subprocess.run(command, cwd=ROOT, env=env, check=True, capture_output=True, text=True).stdout


def _seconds(code: str, env: dict[str, str]) -> Took:
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    _python(code, env)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return round(time.monotonic() - began, 3), round(busy, 3)


def _imports(code: str, env: dict[str, str]) -> dict[str, int]:
    """Milliseconds by package, of those that take ten or more. Watching makes each a little slower."""
    command = [sys.executable, "-X", "importtime", "-c", code]
    told = subprocess.run(command, cwd=ROOT, env=env, check=True, capture_output=True, text=True).stderr
    sums: Counter[str] = Counter()
    for line in told.splitlines():
        found = re.match(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)", line)
        if found:
            sums[found[2].split(".")[0]] += int(found[1])
    return {name: round(micros / 1000) for name, micros in sums.most_common() if micros >= 10_000}
