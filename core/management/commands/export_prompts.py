from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.prompts.files import write


class Command(BaseCommand):
    help = "Write all prompts' drafts and system prompts as JSON files, for review or another installation."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path, metavar="DIR", help="where to; made where it is missing")

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            number = write(options["folder"])
        except OSError as error:
            raise CommandError(f"The files cannot be written: {error}") from error
        self.stdout.write(f"{number} files written below {options['folder']}.")
