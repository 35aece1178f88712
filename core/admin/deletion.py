"""What may not be deleted, and how is that said?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.contrib.admin.options import ModelAdmin
from django.db.models import Model
from django.http import HttpRequest

from core.admin.base import in_the_way

if TYPE_CHECKING:
    _Base = ModelAdmin[Any]
else:
    _Base = object


class Explained(_Base):
    """Says in words what keeps a row, without collecting the rows that do: there may be millions."""

    keep_instead = ""

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[str]]:
        protected = [sentence for row in objs for sentence in self._kept(row)]
        if protected:
            return [], {}, set(), protected
        found: tuple[list[Any], dict[str, int], set[str], list[str]] = super().get_deleted_objects(objs, request)
        return found

    def _kept(self, row: Model) -> Iterable[str]:
        kinds = sorted(set(in_the_way(row)))
        if kinds:
            yield f"«{row}» belongs to {' and '.join(kinds)} that are kept. {self.keep_instead}".strip()
