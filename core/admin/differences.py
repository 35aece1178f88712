"""What is different between two contents of a prompt, in lines that a person can read?"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Unchanged lines around a change.
CONTEXT = 3


@dataclass(frozen=True)
class Line:
    """`kind` is «added», «removed», «same» or «gap»; `sign` says it to those who do not see colours."""

    kind: str
    sign: str
    text: str


@dataclass(frozen=True)
class Section:
    title: str
    lines: list[Line]


_KINDS = {"+": ("added", "+"), "-": ("removed", "−"), " ": ("same", " "), "@": ("gap", "…")}


def sections(content: Mapping[str, Any]) -> dict[str, str]:
    """A content in the shape of `Prompt.content()`, as the texts that a person edits."""
    limits = {
        "Model": content["model"],
        **({"Chosen by": content["asked"]} if content.get("asked") else {}),
        "Longest answer": f"{content['max_tokens']:,} tokens",
        "Effort": content["effort"] or "as the model likes",
        "Runs again by itself if an answer is lost": "yes" if content["run_again_if_lost"] else "no",
    }
    schema = content["output_schema"]
    return {
        "System prompt": content["system_text"],
        "Prompt": content["template"],
        "Variables": "\n\n".join(_variable(variable) for variable in content["variables"]),
        "Model and limits": "\n".join(f"{name}: {value}" for name, value in limits.items()),
        "Answer as data": json.dumps(schema, indent=2, ensure_ascii=False) if schema else "",
    }


def differences(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> list[Section]:
    """The sections that changed, each with its changed lines and some around them."""
    return compared(sections(before) if before else {}, sections(after))


def compared(before: Mapping[str, str], after: Mapping[str, str]) -> list[Section]:
    """The texts that changed, by their titles."""
    return [
        Section(title, _lines(before.get(title, ""), text))
        for title, text in after.items()
        if before.get(title, "") != text
    ]


def _lines(before: str, after: str) -> list[Line]:
    compared = difflib.unified_diff(before.splitlines(), after.splitlines(), n=CONTEXT, lineterm="")
    # The first three lines name files and the first place, which says nothing here.
    return [
        Line(*_KINDS[line[0]], "" if line[0] == "@" else line[1:]) for number, line in enumerate(compared) if number > 2
    ]


def _variable(variable: Mapping[str, Any]) -> str:
    facts = [f"{{{{{variable['name']}}}}} – {variable['label']}"]
    facts += [f"    {name}: {value}" for name, value in variable.items() if name not in {"name", "label"} and value]
    return "\n".join(facts)
