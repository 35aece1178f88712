"""How long does a choice among 200 rules take, and a what-if over 10,000 past calls?

Timed is, first, the CPU time of this process for `decide` with the facts of a request, none of whose 200 rules matches:
the longest way there is, without a classifier and without a query. Second, `what_if` over stored calls with their cost
records, from the first query to the last figure, reading the calls included.
"""

from __future__ import annotations

import argparse
import datetime as dt
import time
from decimal import Decimal
from typing import Any

from django.utils import timezone

from core.models import Call, ClaudeModel, CostRecord, ModelAlias, Price, Route
from core.routing.facts import facts_of
from core.routing.rules import compile_route, decide
from core.routing.whatif import past_calls, sample_of, what_if

RULES, CHOICES = 200, 2000
# The figures to be held: milliseconds of CPU for each choice, seconds for 10,000 calls.
MOST_CPU_MS, MOST_SECONDS, FOR_CALLS = 0.5, 10.0, 10_000
TEXT = "Please have a look at the attached list of orders and tell me which of them are late. " * 20


def _conditions(number: int) -> list[dict[str, Any]]:
    """As in practice: most rules ask for one or two things that are quickly seen, some look through the text.

    No two are the same, so that nothing can be found out once for several.
    """
    kinds: tuple[list[dict[str, Any]], ...] = (
        [{"kind": "lane", "lanes": ["queue"]}, {"kind": "user", "users": [1000 + number]}],
        [{"kind": "words", "words": ["translate", f"traduire{number}", "übersetzen"]}],
        [{"kind": "key", "keys": [number, 8]}, {"kind": "has", "what": ["image"]}],
        [{"kind": "length", "at_least": 50_000 + number}],
        [{"kind": "user", "users": [1000 + number]}, {"kind": "language", "languages": ["de"]}],
        [{"kind": "structured"}, {"kind": "share", "percent": 10 + number / 10}],
        [{"kind": "language", "languages": ["fr", "it"]}, {"kind": "length", "at_least": number}],
        [{"kind": "prompt", "prompts": [10_000 + number]}],
        [{"kind": "pattern", "pattern": rf"\binvoice\s+{number}\b"}],
        [{"kind": "words", "words": [f"purchase order {number}", f"po-{number}"]}],
    )
    return kinds[number % len(kinds)]


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """All figures; Django is set up and the database is empty."""
    cpu = _cpu_of_a_choice()
    _fill(arguments.calls)
    began = time.monotonic()
    now = timezone.now()
    calls = sample_of(past_calls(now - dt.timedelta(days=30), now + dt.timedelta(days=1)), arguments.calls)
    found = what_if(_content(), calls)
    seconds = time.monotonic() - began
    return {
        "rules": RULES,
        "cpu_ms_per_choice": round(cpu, 3),
        "calls": found.looked_at,
        "changed": found.changed,
        "what_if_seconds": round(seconds, 2),
        "ratios": {
            "cpu of a choice to the allowed": round(cpu / MOST_CPU_MS, 2),
            "what-if to the allowed": round(seconds / (MOST_SECONDS * found.looked_at / FOR_CALLS), 2),
        },
    }


def holds(figures: dict[str, Any]) -> bool:
    """Whether the figures that were asked for are reached."""
    return all(ratio <= 1 for ratio in figures["ratios"].values()) and bool(figures["changed"])


def as_table(figures: dict[str, Any]) -> str:
    """The figures in Markdown."""
    return "\n".join(
        [
            "| routing | |",
            "|---|---:|",
            f"| a choice among {figures['rules']} rules | {figures['cpu_ms_per_choice']} ms of CPU |",
            f"| what-if over {figures['calls']:,} past calls | {figures['what_if_seconds']} s |",
        ]
    )


def _content() -> dict[str, Any]:
    rules = [
        {"name": f"rule {number}", "conditions": _conditions(number), "model": "bench-small"} for number in range(RULES)
    ]
    return {"slug": "bench", "name": "Bench", "rules": rules, "default": {"model": "bench-large"}}


def _request(number: int = 0) -> dict[str, Any]:
    text = f"{'translate: ' if number % 3 == 1 else ''}{TEXT} {number}"
    return {"model": "bench", "max_tokens": 1000, "messages": [{"role": "user", "content": text}]}


def _cpu_of_a_choice() -> float:
    """Milliseconds; the facts are new each time, so that nothing is remembered of the text."""
    route, call = compile_route(_content()), Call(user_id=1, lane=Call.Lane.SYNC)
    requests = [_request(3 * number) for number in range(CHOICES)]
    began = time.process_time()
    for request in requests:
        decision = decide(route, facts_of(call, request, "bench", lambda _slug: ""))
    spent = time.process_time() - began
    if decision.rule is not None:
        raise RuntimeError("a rule of the bench matched: that is not the longest way")
    return spent / CHOICES * 1000


def _fill(calls: int) -> None:
    for name, rate in (("bench-small", "0.1"), ("bench-large", "2")):
        model = ClaudeModel.objects.create(id=name, display_name=name)
        rates = {"input": Decimal(rate), "output": Decimal(rate) * 5}
        Price.objects.create(model=model, valid_from=dt.date(2026, 1, 1), approved_at=timezone.now(), **rates)
    ModelAlias.objects.create(name="bench-alias", model_id="bench-large")
    Route.objects.create(name="Bench", slug="bench-route", model="bench-large")
    usage = {"input_tokens": 400, "output_tokens": 300}
    rows = [
        Call(status=Call.Status.SUCCEEDED, model="bench-large", request=_request(number), lane=Call.Lane.SYNC)
        for number in range(calls)
    ]
    Call.objects.bulk_create(rows, batch_size=1000)
    CostRecord.objects.bulk_create(
        [CostRecord(call=row, model=row.model, raw_usage=usage, amount=Decimal("0.0038"), **usage) for row in rows],
        batch_size=1000,
    )
