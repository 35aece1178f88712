"""Which formats do the pages' templates use?"""

from __future__ import annotations

from django import template

from core.pages import formats
from core.pages.answers import plain

register = template.Library()

register.filter("plain", plain)
register.filter("usd", formats.usd)
register.filter("exact_usd", formats.exact_usd)
register.filter("duration", formats.duration)
register.filter("percent", formats.percent)
register.filter("change", formats.change)


@register.filter
def counted(number: int, thing: str) -> str:
    """`{{ 3|counted:"call" }}` is «3 calls»; a plural of its own follows a comma: `"person,people"`."""
    return formats.counted(number, *thing.split(","))


@register.filter
def commas(number: int | None) -> str:
    return "unknown" if number is None else f"{number:,}"
