from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from core.jobs.sweeper import sweep_from_outside


class Command(BaseCommand):
    help = "Queue again what nobody picked up and what lost its worker. Also runs by the clock; safe at any time."

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        swept = sweep_from_outside()
        self.stdout.write(f"Calls taken from lost workers: {swept.recovered}, queued again: {swept.dispatched}.")
