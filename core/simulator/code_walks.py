"""What does a piece of code say, line by line?"""

from __future__ import annotations

import re
from collections.abc import Sequence

from core.simulator.reading import Brief

MOST_LINES = 25
LONGEST_CODE = 20_000  # characters
LONGEST_LINE = 120  # characters
FENCED = re.compile(r"```\w*\n(.*?)```", re.DOTALL)
LOOKS_LIKE_CODE = re.compile(
    r"[=(){}\[\];<>$]|^\s*(?:def|class|import|SELECT|FROM|return|if|for|while|echo)\b", re.MULTILINE
)

# What a line of this shape does; the first that fits counts. Groups are put in where the words name them.
LINES: Sequence[tuple[str, str]] = (
    (r"^\s*#!", "says which program runs this script."),
    (r"^\s*(?:#|//|--|/\*)", "is a comment for the reader."),
    (r"^\s*=\s*(\w+)\(", "is a formula; its outermost function is `{0}`."),
    (r"^\s*(?:async\s+)?(?:def|function|fn|func)\s+(\w+)", "defines the function `{0}`."),
    (r"^\s*(?:export\s+)?class\s+(\w+)", "defines the class `{0}`."),
    (r"^\s*(?:import|from\s+\S+\s+import|use|using|#include|require)\b", "brings in what is needed."),
    (
        r"^\s*SELECT\b(?i:.*\b(?:COUNT|SUM|AVG|MIN|MAX)\()",
        "names the columns of the result, some of them worked out over many rows.",
    ),
    (r"^\s*(?i:SELECT)\b", "names the columns of the result."),
    (r"^\s*(?i:FROM)\b.*\b(?i:LEFT\s+JOIN)\b", "says where the rows come from; those without a partner are kept."),
    (r"^\s*(?i:FROM)\b.*\b(?i:JOIN)\b", "says where the rows come from and how they are matched."),
    (r"^\s*(?:FROM|from)\s+\w+", "says where the rows come from."),
    (r"^\s*(?i:LEFT\s+|INNER\s+)?(?i:JOIN)\b", "puts the rows of another table beside them."),
    (r"^\s*(?i:WHERE|HAVING)\b", "keeps only what meets the condition."),
    (r"^\s*(?i:GROUP\s+BY)\s+([\w.]+)", "folds all rows with the same `{0}` into one."),
    (r"^\s*(?i:ORDER\s+BY)\b.*\b(?i:DESC)\b", "sorts the result, the largest first."),
    (r"^\s*(?i:ORDER\s+BY)\b", "sorts the result."),
    (r"^\s*for\s+(\w+)\s+in\s+(.+?)(?:[:;{{]|$)", "goes through `{1}`, one `{0}` after the other."),
    (r"^\s*(?:for|while|foreach|do)\b", "repeats what follows."),
    (
        r"^\s*(?:if|elif|else if|unless|switch|case|when)\b.*;\s*then\s+(.+?);?\s*fi\b",
        "does `{0}` only where the test holds.",
    ),
    (r"^\s*(?:if|elif|else if|unless|switch|case|when)\b\s*(.+?)\s*[:{{]?$", "goes on only where `{0}` holds."),
    (r"^\s*else\b", "covers all other cases."),
    (r"^\s*return\b", "hands back the result."),
    (r"^\s*yield\s+(\w+)", "hands out `{0}` and waits until the next one is wanted."),
    (r"^\s*(?:try|except|catch|finally|raise|throw)\b", "deals with what may go wrong."),
    (r"^\s*(?:done|fi|end|[})\]]+;?)\s*$", "ends the block."),
    (
        r"^\s*(?:const |let |var |final |\w+ )?([\w.]+)\s*=\s*(?:\[\]|\{\}|\"\"|''|0|None|null)\s*;?$",
        "starts `{0}` afresh, empty.",
    ),
    (r"^\s*(?:const |let |var |final |\w+ )?([\w.]+)\s*[:+*/-]?=[^=]", "keeps a value under the name `{0}`."),
    (r"(\w+)\.(?:append|push|add)\((.*?)\)", "adds `{1}` to `{0}`."),
    (r"([\w.]+)\s*\(", "calls `{0}`."),
)
# What to know about code in which this stands, and what to do about it.
WARNINGS: Sequence[tuple[str, str, str]] = (
    (r"\brm\b", "It deletes files without asking.", "Print what would go before deleting it."),
    (r"\$\(ls\b", "File names with spaces are taken apart.", "Write `for f in /path/*` in place of `$(ls …)`."),
    (
        r"(?is)\bLEFT\s+JOIN\b.*\bWHERE\b",
        "Where `WHERE` tests the joined table, it drops the very rows that `LEFT JOIN` had kept.",
        "Move that condition into `ON`.",
    ),
    (
        r"\bIFERROR\(",
        "Every error is shown as the same value, also a mistake in the formula.",
        "Use `IFNA`: it catches only what is not found.",
    ),
    (r"\bexcept\s*:", "It catches every error, also those nobody expected.", "Name the exception that is meant."),
    (r"\beval\(|\bexec\(", "It runs text as a program; never let that text come from outside.", "Parse the text."),
    (r"=\s*(?:\[\]|\{\})\s*[,)]", "The default value is shared by all calls.", "Use `None` and make a new one inside."),
    (r"\byield\b", "Its values can be read once; a second reading finds nothing.", "Say so in a docstring."),
)


def explain_code(brief: Brief) -> str:
    """What the code is for, a numbered walk through its lines, and what to know about it."""
    fenced = FENCED.search(brief.material)
    code = (fenced.group(1) if fenced else brief.material)[:LONGEST_CODE]
    if not LOOKS_LIKE_CODE.search(code):
        return f"This does not look like code: “{' '.join(code.split())[:100]}”. Please add the lines to be explained."
    lines = [(number, line.strip()) for number, line in enumerate(code.splitlines(), 1) if line.strip()]
    parts = [*_question(brief.instructions, lines), _purpose(code, lines), "Line by line:", _walk(lines)]
    warnings = [(text, remedy) for pattern, text, remedy in WARNINGS if re.search(pattern, code)]
    if warnings and "worth knowing" in brief.instructions.lower():
        parts.append("### Worth knowing\n" + "\n".join(f"- {text}" for text, _ in warnings))
    if warnings and re.search(r"improvements[^\n]*:\s*yes\b", brief.instructions, re.IGNORECASE):
        parts.append("### Improvements\n" + "\n".join(f"- {remedy}" for _, remedy in warnings))
    return "\n\n".join(parts)


def _purpose(code: str, lines: Sequence[tuple[int, str]]) -> str:
    size = f"{len(lines)} line{'s' if len(lines) > 1 else ''}"
    function = re.search(r"\b(?:def|function|fn|func)\s+(\w+)\s*\(([^)]*)\)", code)
    if function:
        given = " and ".join(
            f"`{name}`" for part in function.group(2).split(",") if (name := part.split("=")[0].strip())
        )
        out = (
            "hands out values one by one" if "yield" in code else "hands back a result" if "return" in code else "works"
        )
        return f"The function `{function.group(1)}` takes {given or 'nothing'} and {out}, in {size}."
    tables = re.findall(r"(?i)\b(?:FROM|JOIN)\s+(\w+)", code) if re.match(r"(?i)\s*SELECT\b", code) else []
    if tables:
        return (
            f"The query reads {' and '.join(f'`{table}`' for table in dict.fromkeys(tables))} and gives back a table."
        )
    if code.lstrip().startswith("="):
        return (
            "The formula works out the value of one cell with "
            + ", ".join(f"`{name}`" for name in dict.fromkeys(re.findall(r"\b([A-Z]{2,})\(", code)))
            + "."
        )
    if code.startswith("#!"):
        return f"This is a script of {size} that runs from top to bottom."
    return f"This is a piece of {size} that runs from top to bottom."


def _question(instructions: str, lines: Sequence[tuple[int, str]]) -> list[str]:
    """The reader's question, answered with the line that has most of its words, of several the last."""
    asked = re.search(r"\bquestion\b[^:\n]*:[ \t]*(\S[^\n]*)", instructions)
    if not asked:
        return []
    words = set(re.findall(r"\w{3,}", asked.group(1).lower()))
    scores = [(len(words & set(re.findall(r"\w{3,}", line.lower()))), number, line) for number, line in lines]
    score, number, line = max(scores)
    if not score:
        return [f"You ask: “{asked.group(1)}” The lines below do not say it outright; read them with that in mind."]
    return [f"You ask: “{asked.group(1)}” It is about line {number}, `{line[:LONGEST_LINE]}`, which {_about(line)}"]


def _walk(lines: Sequence[tuple[int, str]]) -> str:
    steps = [
        f"{step}. `{line[:LONGEST_LINE]}` — {_about(line)}" for step, (_, line) in enumerate(lines[:MOST_LINES], 1)
    ]
    if len(lines) > MOST_LINES:
        steps.append(f"\nThe other {len(lines) - MOST_LINES} lines go on in the same way.")
    return "\n".join(steps)


def _about(line: str) -> str:
    for pattern, about in LINES:
        found = re.search(pattern, line)
        if found:
            return about.format(*found.groups())
    return "is evaluated as it stands."
