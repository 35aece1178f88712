"""How does a list reach its thousandth page without reading the rows of those before it?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.paginator import Page

if TYPE_CHECKING:
    from django.core.paginator import Paginator

    class _Endless(Paginator[Any]):
        def _get_page(self, *args: Any) -> Page[Any]: ...
else:
    from unfold.paginator import InfinitePaginator as _Endless


class KeysFirstPaginator(_Endless):
    """Counts nothing, and passes over earlier rows in the index alone: the page's keys first, then their rows."""

    def page(self, number: int | str) -> Page[Any]:
        number = self.validate_number(number)
        rows: Any = self.object_list
        first = (number - 1) * self.per_page
        keys = list(rows.values_list("pk", flat=True)[first : first + self.per_page])
        return self._get_page(rows.filter(pk__in=keys), number, self)


# By this name the theme's pages know that nothing is counted, and show no number of results.
KeysFirstPaginator.__name__ = "InfinitePaginator"
