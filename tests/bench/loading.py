"""How do millions of cost records get into a fresh database, as two years of work would have left them?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.auth.models import Group
from django.db import connection, models, transaction
from django.utils import timezone

from core.models import Call, ClaudeModel, CostRecord, Key, PendingRollup, Prompt, User

USERS, PROMPTS, TEAMS, CENTRES, KEYS = 200, 60, 12, 20, 40
MODELS = [f"claude-bench-{number}" for number in range(6)]
DAYS = 730
AT_ONCE = 1_000_000
# What the clock has not rolled up yet.
PENDING = 500


def people_and_things() -> None:
    """What the records refer to; every table is empty, so the keys begin with one."""
    Group.objects.all().delete()
    teams = Group.objects.bulk_create([Group(name=f"Team {number}") for number in range(TEAMS)])
    people = [
        User(username=f"person{number}", team=teams[number % TEAMS], cost_centre=f"K-{number % CENTRES}")
        for number in range(USERS)
    ]
    users = User.objects.bulk_create(people)
    catalogue = ClaudeModel.objects.bulk_create([ClaudeModel(id=name, display_name=name.title()) for name in MODELS])
    prompts = [
        Prompt(name=f"Prompt {number}", slug=f"prompt-{number}", model=catalogue[0]) for number in range(PROMPTS)
    ]
    Prompt.objects.bulk_create(prompts)
    Key.objects.bulk_create([Key(name=f"Key {number}", user=users[number]) for number in range(KEYS)])


def load(first: int, last: int) -> None:
    """Calls and cost records numbered `first` to `last`, spread evenly over the two years until now."""
    with _without_upkeep():
        for start in range(first, last + 1, AT_ONCE):
            end = min(last, start + AT_ONCE - 1)
            numbers = _numbers(start, end)
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(f"{_insert(Call, _call(first, last))} {numbers}")
                cursor.execute(f"{_insert(CostRecord, _record(first, last))} {numbers}")
    with connection.cursor() as cursor:
        # Generated rows name their own keys, which a sequence does not notice.
        if connection.vendor == "postgresql":
            cursor.execute("SELECT setval(pg_get_serial_sequence('core_costrecord', 'id'), %s)", [last])
        cursor.execute("DELETE FROM core_pendingrollup")
    PendingRollup.objects.bulk_create(
        [PendingRollup(record_id=number) for number in range(last - PENDING + 1, last + 1)]
    )


def tidy() -> None:
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")


def _call(first: int, last: int) -> dict[str, str]:
    return {
        "id": _uuid(),
        "created_at": _moment(first, last),
        "dispatched_at": _moment(first, last),
        "user_id": _user(),
        "key_id": _key(),
        "prompt_id": _prompt(),
        "lane": _lane(),
        "model": _model(),
        "status": "'succeeded'",
        "attempt": "1",
        "text": "'An answer.'",
        "reason": "'This prompt is set to this model.'",
        "finished_at": _moment(first, last),
        "started_at": _moment(first, last),
        "request_id": "'req_' || n.i",
    }


def _record(first: int, last: int) -> dict[str, str]:
    return {
        "id": "n.i",
        "at": _moment(first, last),
        "booked_on": _date(_moment(first, last)),
        "call_id": _uuid(),
        "user_id": _user(),
        "key_id": _key(),
        "prompt_id": _prompt(),
        # Each person has one.
        "team_id": f"(SELECT min(id) FROM auth_group) + ({_user()} % {TEAMS})",  # noqa: S608 - our own numbers
        "cost_centre": f"'K-' || ({_user()} % {CENTRES})",
        "lane": _lane(),
        "model": _model(),
        "request_id": "'req_' || n.i",
        "input_tokens": "200 + n.i % 5000",
        "output_tokens": "20 + n.i % 900",
        "cache_write_5m_tokens": "0",
        "cache_write_1h_tokens": "0",
        "cache_read_tokens": "CASE WHEN n.i % 3 = 0 THEN 2000 ELSE 0 END",
        "web_searches": "0",
        # One in a thousand is unknown.
        "amount": "CASE WHEN n.i % 1000 = 0 THEN NULL ELSE 1000000 + (n.i * 7919) % 90000000 END",
        "unknown_reason": "CASE WHEN n.i % 1000 = 0 THEN 'usage never came' ELSE '' END",
        "saved_by_cache": "CASE WHEN n.i % 3 = 0 THEN 540000 ELSE 0 END",
        "saved_by_batch": "0",
        "raw_usage": """'{"input_tokens": 1200, "output_tokens": 300, "service_tier": "standard"}'"""
        + ("::jsonb" if connection.vendor == "postgresql" else ""),
    }


def _insert(model: type[models.Model], values: dict[str, str]) -> str:
    """`INSERT INTO … SELECT`: the given expressions, and each other column's default."""
    fields = model._meta.local_concrete_fields
    columns = ", ".join(f'"{field.column}"' for field in fields)
    expressions = ", ".join(values.get(str(field.column)) or _default(field) for field in fields)
    return f"INSERT INTO {model._meta.db_table} ({columns}) SELECT {expressions} FROM"


def _default(field: models.Field[Any, Any]) -> str:
    if field.null:
        return "NULL"
    value = field.get_default() if field.has_default() else ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | dict):
        return "'[]'" if isinstance(value, list) else "'{}'"
    return str(value) if isinstance(value, int) else f"'{value}'"


def _numbers(first: int, last: int) -> str:
    if connection.vendor == "postgresql":
        return f"generate_series({first}::bigint, {last}::bigint) AS n(i)"
    series = f"SELECT {first} AS i UNION ALL SELECT i + 1 FROM numbers WHERE i < {last}"  # noqa: S608 - our own numbers
    return f"(WITH RECURSIVE numbers AS ({series}) SELECT i FROM numbers) AS n"  # noqa: S608


def _moment(first: int, last: int) -> str:
    begin = timezone.now() - dt.timedelta(days=DAYS)
    step = dt.timedelta(days=DAYS).total_seconds() / (last - first + 1)
    if connection.vendor == "postgresql":
        return f"timestamptz '{begin:%Y-%m-%d %H:%M:%S}+00' + (n.i - {first}) * interval '{step:.9f} second'"
    seconds = f"{begin.timestamp():.0f} + (n.i - {first}) * {step:.9f}"
    return f"strftime('%Y-%m-%d %H:%M:%f', {seconds}, 'unixepoch')"


def _date(moment: str) -> str:
    return f"CAST({moment} AS date)" if connection.vendor == "postgresql" else f"substr({moment}, 1, 10)"


def _uuid() -> str:
    if connection.vendor == "postgresql":
        return "CAST(lpad(to_hex(n.i), 32, '0') AS uuid)"
    return "printf('%032x', n.i)"


def _pick(count: int, multiplier: int) -> str:
    """A number below `count`, small ones oftener: a few people and prompts make most of the work."""
    part = f"((n.i * {multiplier}) % 1000003)"
    return f"CAST(({part} * {part}) / 1000003 * {count} / 1000003 AS bigint)"


def _user() -> str:
    return f"(1 + {_pick(USERS, 7919)})"


def _prompt() -> str:
    return f"(1 + {_pick(PROMPTS, 104729)})"


def _key() -> str:
    return f"CASE WHEN n.i % 2 = 0 THEN 1 + {_pick(KEYS, 15485863)} ELSE NULL END"


def _model() -> str:
    return f"'claude-bench-' || {_pick(len(MODELS), 32452843)}"


def _lane() -> str:
    return "CASE n.i % 4 WHEN 0 THEN 'sync' WHEN 1 THEN 'stream' WHEN 2 THEN 'queue' ELSE 'batch' END"


@contextmanager
def _without_upkeep() -> Iterator[None]:
    """PostgreSQL: foreign keys are not looked up, and indexes are made once at the end instead of row by row."""
    if connection.vendor != "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA synchronous=OFF")
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("SET maintenance_work_mem = '1GB'")
        cursor.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename IN ('core_call', 'core_costrecord')"
            " AND indexname NOT IN (SELECT conname FROM pg_constraint)"
        )
        indexes = cursor.fetchall()
        for name, _ in indexes:
            cursor.execute(f'DROP INDEX "{name}"')
        yield
        for _, definition in indexes:
            cursor.execute(definition)
        cursor.execute("SET session_replication_role = DEFAULT")
