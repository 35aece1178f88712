"""Which variables does a template name, and what is it with their values put in?

A template is text with `{{name}}` in it and nothing else: whatever is not exactly that, `{{ x|safe }}`, `{% include %}`
or `{0.__class__}`, is text and stays text. One pass replaces all, so a value that looks like a variable stays text too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_VARIABLE = re.compile(r"\{\{[ \t]*([a-z][a-z0-9_]*)[ \t]*\}\}")


def names_in(*templates: str) -> list[str]:
    """The variables that `templates` name, each once, in the order they first appear."""
    return list(dict.fromkeys(name for template in templates for name in _VARIABLE.findall(template)))


def fill(template: str, values: Mapping[str, str]) -> str:
    """`template` with each `{{name}}` replaced by its value. Raises KeyError for a name without one."""
    return _VARIABLE.sub(lambda match: values[match.group(1)], template)
