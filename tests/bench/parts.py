"""Which benchmarks are there, and what does each need before it runs?

A part is a module with `run(arguments) -> figures`, `as_table(figures) -> str` and `holds(figures) -> bool`. It is read
only once Django is set up, so it may import models at its top. A new part is an entry in `PARTS` and a line in `FULL`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Protocol


class Bench(Protocol):
    """What a part's module offers."""

    @staticmethod
    def run(arguments: Any) -> dict[str, Any]: ...
    @staticmethod
    def as_table(figures: dict[str, Any]) -> str: ...
    @staticmethod
    def holds(figures: dict[str, Any]) -> bool: ...


@dataclass(frozen=True)
class Part:
    """`numbers` are options that take a whole number, each with what it is by default and what it says.

    A `durable` database waits until a commit is on the disk, as in production. One that needs no `database` gets none,
    and sets up what it needs by itself. `named_by` are the options whose values stand in the name of its result.
    """

    module: str
    help: str
    numbers: dict[str, tuple[int, str]] = field(default_factory=dict)
    durable: bool = False
    database: bool = True
    named_by: tuple[str, ...] = ()


PARTS: dict[str, Part] = {
    "spend": Part(
        "tests.bench.spend",
        "reports, lists and downloads with millions of cost records",
        {
            "records": (200_000, "cost records at full size"),
            "small": (100_000, "cost records that the full size is compared with"),
            "download": (1_000_000, "records of the CSV and the Excel file, at most those there are"),
        },
        named_by=("records",),
    ),
    "budgets": Part("tests.bench.budgets", "what budgets add to a call, and settlements a second", durable=True),
    "workers": Part(
        "tests.bench.workers",
        "calls per second and memory of one worker process, beside stock forking workers",
        {
            "calls": (10_000, "calls"),
            "places": (256, "calls at once in one process"),
            "stock": (16, "stock workers, one call at a time each"),
        },
        durable=True,
    ),
    "watching": Part(
        "tests.bench.watching",
        "how soon people see the first words, and a page beside many idle watchers",
        {
            "rate": (50, "calls a second"),
            "seconds": (60, "seconds"),
            "watchers": (2000, "idle watchers"),
        },
        durable=True,
    ),
    "gateway": Part(
        "tests.bench.gateway.measure", "what the gateway adds to calling Claude, and what it bears", durable=True
    ),
    "start": Part(
        "tests.bench.lambda_start", "how long a function takes from cold to its first answer", database=False
    ),
    "routing": Part(
        "tests.bench.routing",
        "a choice among 200 rules, and a what-if over past calls",
        {"calls": (10_000, "past calls")},
    ),
    "batches": Part(
        "tests.bench.batches",
        "how long a batch takes to Claude and back, and in how much memory",
        {"rows": (100_000, "requests in it")},
        durable=True,
        named_by=("rows",),
    ),
}

# What `make bench` runs, one after the other, whether or not one misses its bound.
FULL: list[list[str]] = [
    ["spend", "--database", "postgres", "--records", "10000000"],
    ["spend", "--database", "sqlite", "--records", "1000000"],
    ["budgets"],
    ["workers"],
    ["watching"],
    ["gateway"],
    ["start"],
    ["batches"],
    ["routing"],
]


def as_bench(module: ModuleType) -> Bench:
    """The module as what it has to be; a part that lacks a function fails here and not after an hour."""
    missing = [name for name in ("run", "as_table", "holds") if not hasattr(module, name)]
    if missing:
        raise TypeError(f"{module.__name__} lacks {', '.join(missing)}")
    return module  # type: ignore[return-value]
