"""What text would a helpful model answer?

No model is here: a few tasks are recognised by their words, and each answer is made of pieces of what was asked, so
that a demo reads sensibly and a test can tell answers apart. The same request gets the same answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from core.simulator.code_walks import explain_code
from core.simulator.feedback import sorted_comments
from core.simulator.reading import Brief, read_brief, sentences, subject
from core.simulator.replies import reply
from core.simulator.schema_answers import stable_number
from core.simulator.summaries import summarise
from core.simulator.translations import translate

OPENINGS = ("Here is how I see it.", "In short:", "A few thoughts on this.", "Let me take this step by step.")
CLOSINGS = (
    "If you tell me more about the circumstances, I can be more precise.",
    "The next step I would take is to check this against your own numbers.",
    "I would start small, look at the result after a week, and then decide.",
)


def answer_text(system: str, text: str) -> str:
    """The answer to a user's text under a system prompt: Markdown, two to eight sentences or a list."""
    if not text:
        return "I see no text in your message. What would you like me to do?"
    brief = read_brief(text)
    if not brief.material.strip():
        return "There is nothing between the tags of your message. Please add the text that I should work on."
    return _task(brief, system)(brief)


def _task(brief: Brief, system: str) -> Callable[[Brief], str]:
    """What is asked for: by the first line, else by all instructions, else by the system prompt."""
    material = "```" if "```" in brief.material else ""
    for part in (brief.instructions.partition("\n")[0], f"{brief.instructions}\n{material}", system):
        for words, answer in TASKS:
            if re.search(words, part.lower()):
                return answer
    return _reflect


def answer_tool_results(text: str, results: Sequence[str]) -> str:
    """The answer after tools have run."""
    found = " ".join(" ".join(result.split())[:300] for result in results) or "nothing"
    return (
        f"The tool returned: {found}\n\nFor your question about “{subject(text)}” that is the answer I would rely on."
    )


def long_text(text: str, tokens: int, count: Callable[[str], int]) -> str:
    """A long answer of about so many tokens."""
    found = sentences(read_brief(text).material) or ["There is much to say"]
    parts: list[str] = []
    total = 0
    while total < tokens:
        number = len(parts) + 1
        part = (
            f"{number}. On “{found[(number - 1) % len(found)][:120]}”: this deserves a closer look, {number} of many."
        )
        parts.append(part)
        total += count(part)
    return "\n".join(parts)


def thinking_text(text: str) -> str:
    """What a model would think before it answers."""
    return (
        f"The user writes about “{subject(text)}”. The text has {len(text.split())} words in {len(sentences(text))} "
        "sentences. I should answer what was asked, keep to the text, and stay brief."
    )


def _list_ideas(brief: Brief) -> str:
    topic = subject(brief.material)
    return (
        f"Three ideas for “{topic}”:\n\n1. **Start with what is there.** List what already works and keep it.\n"
        "2. **Ask those concerned.** Five short conversations tell more than a survey.\n"
        "3. **Try it for a week.** Decide beforehand what would count as a success."
    )


def _reflect(brief: Brief) -> str:
    text = brief.material
    found = sentences(text)
    pick = stable_number(text, 12)
    parts = [OPENINGS[pick % len(OPENINGS)], f"You write about “{subject(text)}”."]
    if len(found) > 1:
        parts.append(f"What stands out is this: “{found[1][:160]}”")
    if len(found) > 2:
        parts.append(f"It fits with “{found[-1][:120]}”, though the two need not mean the same.")
    parts.append("Two things seem to matter here: **what** is to be reached, and **by when**.")
    parts.append(CLOSINGS[pick % len(CLOSINGS)])
    return " ".join(parts)


TASKS: Sequence[tuple[str, Callable[[Brief], str]]] = (
    (r"\bsummar|\bsum up\b|\bkey points\b|\btl;?dr\b|\bzusammenfass", summarise),
    (r"\btranslat|\bübersetz", translate),
    (r"\b(explain|review|walk).{0,40}\b(code|function|script|program|query)\b|```", explain_code),
    (r"\b(sort|classif|group|categor).{0,40}\b(feedback|review|comment|response)", sorted_comments),
    (r"\b(customer|client|complaint|support).{0,80}\b(answer|reply|respond|letter|email|e-mail)", reply),
    (r"\b(answer|reply|respond|letter|email|e-mail).{0,80}\b(customer|client|complaint|support)", reply),
    (r"\bideas?\b|\bbrainstorm|\bsuggest", _list_ideas),
)
