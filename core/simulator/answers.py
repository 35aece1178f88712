"""What text would a helpful model answer?

No model is here: a few tasks are recognised by their words, and each answer is made of pieces of what was asked, so
that a demo reads sensibly and a test can tell answers apart. The same request gets the same answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from core.simulator.reading import sentences, subject
from core.simulator.schema_answers import stable_number

LANGUAGES = (
    "German",
    "French",
    "Spanish",
    "Italian",
    "Portuguese",
    "Dutch",
    "English",
    "Swedish",
    "Polish",
    "Japanese",
)
GERMAN = {
    "and": "und", "the": "die", "is": "ist", "we": "wir", "you": "Sie", "not": "nicht", "with": "mit", "for": "für",
    "please": "bitte", "thank": "danke", "order": "Bestellung", "customer": "Kunde", "price": "Preis", "today": "heute",
    "hello": "hallo", "good": "gut", "invoice": "Rechnung", "month": "Monat", "day": "Tag", "new": "neu",
    "in": "in", "of": "von", "to": "zu", "a": "ein", "it": "es", "are": "sind", "time": "Zeit", "help": "Hilfe",
}  # fmt: skip
FRENCH = {
    "and": "et", "the": "le", "is": "est", "we": "nous", "you": "vous", "not": "pas", "with": "avec", "for": "pour",
    "please": "s’il vous plaît", "thank": "merci", "order": "commande", "customer": "client", "price": "prix",
    "today": "aujourd’hui", "hello": "bonjour", "good": "bon", "invoice": "facture", "month": "mois", "day": "jour",
    "in": "dans", "of": "de", "to": "à", "a": "un", "it": "il", "are": "sont", "time": "temps", "help": "aide",
}  # fmt: skip
DICTIONARIES = {"German": GERMAN, "French": FRENCH}
INSTRUCTION = r"^\W*(please\b|summar|translat|explain|answer|reply|respond|sort|review|write|describe|list)"
OPENINGS = ("Here is how I see it.", "In short:", "A few thoughts on this.", "Let me take this step by step.")
CLOSINGS = (
    "If you tell me more about the circumstances, I can be more precise.",
    "The next step I would take is to check this against your own numbers.",
    "I would start small, look at the result after a week, and then decide.",
)
POSITIVE = {"good", "great", "love", "fast", "friendly", "easy", "excellent", "thanks", "happy", "helpful", "like"}
NEGATIVE = {
    "bad",
    "slow",
    "broken",
    "late",
    "rude",
    "crash",
    "error",
    "missing",
    "expensive",
    "never",
    "problem",
    "poor",
}


def answer_text(system: str, text: str) -> str:
    """The answer to a user's text under a system prompt: Markdown, two to eight sentences or a list."""
    if not text:
        return "I see no text in your message. What would you like me to do?"
    head = f"{system}\n{text[:300]}\n{text[-150:] if len(text) > 450 else ''}".lower()
    for words, answer in TASKS:
        if re.search(words, head):
            return answer(head, text)
    return _reflect(head, text)


def answer_tool_results(text: str, results: Sequence[str]) -> str:
    """The answer after tools have run."""
    found = " ".join(" ".join(result.split())[:300] for result in results) or "nothing"
    return (
        f"The tool returned: {found}\n\nFor your question about “{subject(text)}” that is the answer I would rely on."
    )


def long_text(text: str, tokens: int, count: Callable[[str], int]) -> str:
    """A long answer of about so many tokens."""
    found = sentences(text) or ["There is much to say"]
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


def _given(text: str) -> str:
    """The text that the task is about: without a first line that is a label or an instruction."""
    head, _, rest = text.partition("\n")
    if len(rest.strip()) > 15 and re.search(r":\s*$|" + INSTRUCTION, head.lower()):
        return rest.strip()
    return text


def _summarise(_head: str, text: str) -> str:
    clauses = [re.split(r"[,;:–(]", sentence)[0].strip(" -*#.>") for sentence in sentences(_given(text))]
    points = [clause for clause in clauses if len(clause.split()) > 2][:6] or [subject(text)]
    return "**Summary**\n\n" + "\n".join(f"- {point[0].upper()}{point[1:]}." for point in points)


def _translate(head: str, text: str) -> str:
    language = next((name for name in LANGUAGES if name.lower() in head), "English")
    words = DICTIONARIES.get(language, {})

    def translated(match: re.Match[str]) -> str:
        found = words.get(match.group(0).lower(), match.group(0))
        return found[0].upper() + found[1:] if match.group(0)[0].isupper() else found

    return f"[{language}] " + re.sub(r"[A-Za-z]+", translated, _given(text))


def _reply(_head: str, text: str) -> str:
    given = _given(text)
    concern = next((sentence for sentence in sentences(given) if "?" in sentence), subject(given))
    return (
        f"Dear customer,\n\nthank you for your message about “{subject(given)}”. You wrote: “{concern}” I understand "
        "that this matters to you, and I am sorry for the trouble. We have passed it on to the team in charge and will "
        "come back to you within two working days.\n\nIf anything changes in the meantime, just reply to this message."
        "\n\nKind regards\nCustomer service"
    )


def _explain_code(_head: str, text: str) -> str:
    code = re.search(r"```\w*\n(.*?)```", text, re.DOTALL)
    lines = [line for line in (code.group(1) if code else _given(text)).splitlines() if line.strip()][:8]
    steps = [f"{number}. `{line.strip()}` — {_about_line(line)}" for number, line in enumerate(lines, 1)]
    return "Line by line:\n\n" + "\n".join(steps) + f"\n\nTogether these {len(lines)} lines do what their names say."


def _about_line(line: str) -> str:
    for pattern, about in LINES:
        if re.search(pattern, line):
            return about
    return "is evaluated as it stands."


LINES = (
    (r"^\s*(def|function|fn|func)\b", "defines a function."),
    (r"^\s*class\b", "defines a class."),
    (r"^\s*(import|from|use|#include)\b", "brings in what is needed."),
    (r"^\s*(for|while)\b", "repeats what follows."),
    (r"^\s*(if|elif|else|switch|case)\b", "decides which way to go."),
    (r"^\s*return\b", "hands back the result."),
    (r"^\s*(#|//)", "is a comment for the reader."),
    (r"[^=!<>]=[^=]", "keeps a value under a name."),
    (r"\w\(", "calls a function."),
)


def _sort_feedback(_head: str, text: str) -> str:
    groups: dict[str, list[str]] = {"Praise": [], "Complaints": [], "Other": []}
    for sentence in sentences(_given(text))[:12]:
        words = set(re.findall(r"\w+", sentence.lower()))
        key = "Complaints" if words & NEGATIVE else "Praise" if words & POSITIVE else "Other"
        groups[key].append(sentence.strip(" -*"))
    parts = [
        f"**{name}** ({len(items)})\n" + "\n".join(f"- {item}" for item in items) for name, items in groups.items()
    ]
    return "\n\n".join(part for part in parts if "- " in part)


def _list_ideas(_head: str, text: str) -> str:
    topic = subject(text)
    return (
        f"Three ideas for “{topic}”:\n\n1. **Start with what is there.** List what already works and keep it.\n"
        "2. **Ask those concerned.** Five short conversations tell more than a survey.\n"
        "3. **Try it for a week.** Decide beforehand what would count as a success."
    )


def _reflect(_head: str, text: str) -> str:
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


TASKS: Sequence[tuple[str, Callable[[str, str], str]]] = (
    (r"\bsummar|\bsum up\b|\bkey points\b|\btl;?dr\b|\bzusammenfass", _summarise),
    (r"\btranslat|\bübersetz", _translate),
    (r"\b(explain|review|walk).{0,40}\b(code|function|script|program|query)\b|```", _explain_code),
    (r"\b(sort|classif|group|categor).{0,40}\b(feedback|review|comment|response)", _sort_feedback),
    (r"\b(customer|client|complaint|support).{0,80}\b(answer|reply|respond|letter|email|e-mail)", _reply),
    (r"\b(answer|reply|respond|letter|email|e-mail).{0,80}\b(customer|client|complaint|support)", _reply),
    (r"\bideas?\b|\bbrainstorm|\bsuggest", _list_ideas),
)
