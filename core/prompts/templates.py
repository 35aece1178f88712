"""Which variables does a template name, and what is it with their values put in?

A template is text with `{{name}}` in it and nothing else: whatever is not exactly that, `{{ x|safe }}`, `{% include %}`
or `{0.__class__}`, is text and stays text. One pass replaces all, so a value that looks like a variable stays text too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_VARIABLE = re.compile(r"\{\{[ \t]*([a-z][a-z0-9_]*)[ \t]*\}\}")
_BRACED = re.compile(r"\{\{([^{}]*)\}\}")
# What somebody writes who means a variable: words of any script, digits, spaces, hyphens and underscores.
_LIKE_A_NAME = re.compile(r"(?=.*[^\W_])[\w \t-]+")


def names_in(*templates: str) -> list[str]:
    """The variables that `templates` name, each once, in the order they first appear."""
    return list(dict.fromkeys(name for template in templates for name in _VARIABLE.findall(template)))


def fill(template: str, values: Mapping[str, str]) -> str:
    """`template` with each `{{name}}` replaced by its value. Raises KeyError for a name without one."""
    return _VARIABLE.sub(lambda match: values[match.group(1)], template)


def misspelt(*templates: str) -> list[str]:
    """What looks like a variable's name in double braces, as in `{{Customer Name}}`, but is spelt as none can be."""
    return [inside for inside in _not_variables(templates) if _LIKE_A_NAME.fullmatch(inside)]


def left_as_text(*templates: str) -> list[str]:
    """What else stands in double braces, as it is written there: `x|safe`, `f()`. It is sent just so."""
    return [inside for inside in _not_variables(templates) if not _LIKE_A_NAME.fullmatch(inside)]


def _not_variables(templates: tuple[str, ...]) -> list[str]:
    """What stands in double braces and names no variable, each once, without the white space around it."""
    found = [match for template in templates for match in _BRACED.finditer(template)]
    return list(dict.fromkeys(match[1].strip() for match in found if not _VARIABLE.fullmatch(match[0])))
