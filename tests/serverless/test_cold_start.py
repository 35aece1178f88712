"""Is what is heavy imported only by whoever uses it? Each question in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

from django.conf import settings

from tests import environment

_TELL = """
import sys
heavy = {"anthropic", "httpx2", "unfold.admin", "core.admin", "xlsxwriter", "markdown_it", "django_rq.admin"}
heavy |= {"openpyxl", "charset_normalizer", "channels", "prometheus_client"}
print(",".join(sorted(heavy & set(sys.modules))))
"""


def imported_by(code: str) -> set[str]:
    """Which heavy packages a fresh process without Redis has imported once it has run `code`."""
    env = {**os.environ, "REDIS_URL": "", "DATABASE_URL": environment.another_database("cold")}
    done = subprocess.run(
        [sys.executable, "-c", code + _TELL], cwd=settings.BASE_DIR, env=env, check=True, capture_output=True, text=True
    )
    return set(filter(None, done.stdout.strip().splitlines()[-1].split(","))) if done.stdout.strip() else set()


def test_checks_and_pages_that_call_nothing_never_import_the_sdk() -> None:
    code = """
import django; django.setup()
from django.core.management import call_command
from django.test import Client
call_command("check")
for page in ("/healthz", "/api/openapi.json", "/api/docs"):
    assert Client().get(page).status_code == 200, page
"""
    assert not imported_by(code) & {"anthropic", "httpx2"}


def test_a_function_imports_neither_the_administration_nor_the_sdk_before_it_needs_them() -> None:
    code = """
from claudeapp.lambda_handler import handler
assert handler({"httpMethod": "GET", "path": "/api/none", "headers": {"host": "localhost"}}, None)["statusCode"] == 404
"""
    assert imported_by(code) == set()


def test_a_function_looks_for_no_garbage_until_its_first_answer() -> None:
    code = """
import gc
from claudeapp.lambda_handler import handler
before = gc.isenabled()
handler({"httpMethod": "GET", "path": "/api/none", "headers": {"host": "localhost"}}, None)
assert (before, gc.isenabled()) == (False, True)
assert gc.get_freeze_count() > 100_000
"""
    imported_by(code)


def test_a_function_has_the_administration_once_somebody_asks_for_it() -> None:
    code = """
from claudeapp.lambda_handler import handler
event = {"httpMethod": "GET", "path": "/admin/core/call/", "headers": {"host": "localhost"}}
answer = handler(event, None)
assert (answer["statusCode"], answer["headers"]["Location"][:13]) == (302, "/admin/login/"), answer
"""
    assert "core.admin" in imported_by(code)
