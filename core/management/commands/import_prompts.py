from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.prompts.files import UnusableFileError, read


class Command(BaseCommand):
    help = (
        "Take prompts' drafts and system prompts from JSON files as export_prompts writes them. Nothing is published; "
        "but who may use a published prompt, its name and the like take effect at once. All files come in, or none."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path, metavar="DIR", help="what export_prompts wrote to")

    def handle(self, *_args: Any, **options: Any) -> None:
        if not options["folder"].is_dir():
            raise CommandError(f"There is no folder {options['folder']}.", returncode=2)
        try:
            brought = read(options["folder"])
        except UnusableFileError as error:
            raise CommandError(f"Nothing was changed.\n{error}") from error
        except OSError as error:
            raise CommandError(f"The files cannot be read: {error}") from error
        self.stdout.write(f"{brought.added} added, {brought.changed} brought up to date. Publish them in the admin.")
