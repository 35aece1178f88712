"""`manage.py simulator` as a process of its own, without the project's settings."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys

import httpx2

SERVE = "from core.simulator import serve; serve(port={port}, pace=0, on_ready=lambda url: print(url, flush=True))"

COMMAND = """
import sys
from django.conf import settings
from core.management.commands.simulator import Command
settings.configure()
Command().run_from_argv(["manage.py", *sys.argv[1:]])
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_a_served_simulator_ends_cleanly_on_sigterm() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SERVE.format(port=free_port())],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert httpx2.get(f"{url}/_simulator").status_code == 200
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=5)
    assert (process.returncode, errors) == (0, "")


def test_a_busy_port_is_said_in_one_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-c", COMMAND, "simulator", "--port", port]
        result = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert result.returncode == 1
    assert result.stdout == ""
    assert f"Port {port} is already in use" in result.stderr
    assert "SIMULATOR_PORT" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_package_itself_is_quick_to_import() -> None:
    check = "import sys, core.simulator; sys.exit('anthropic' in sys.modules or 'pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False, timeout=30).returncode == 0
