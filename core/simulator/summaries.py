"""Which sentences of a text make its summary, in the form and length that was asked for?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from core.simulator.reading import LIST_MARK, Brief, line_sentences, subject, unwrapped

SHARE = 0.7  # of a text's words that its summary may have
LONGEST_TEXT = 50_000  # characters; what comes later is not read
SHORT_TEXT = 30  # words
LONGEST_HEADING = 4  # words
LONGEST_BULLET = 28  # words
POINTS = 6  # where no length is asked for
DECISION = re.compile(
    r"\b(decid\w*|decision|deadline|due|agreed|approved|must|(?:is|are) to be"
    r"|by (?:mon|tues|wednes|thurs|fri|satur|sun)day"
    r"|until|publishes|beschlossen|frist|bis (?:zum|freitag|montag))\b",
    re.IGNORECASE,
)
TELLING = re.compile(
    r"\d|\b(?:because|most|more|less|not|nothing|nobody|lost|cost|only|risk|would|will)\b", re.IGNORECASE
)
LETTER = re.compile(
    r"^(?:from|to|cc|date|subject|re)\s*:|^(?:dear|hello|hi|liebe\w*|sehr geehrte\w*)\b[^.!?]{0,40}$"
    r"|^(?:best|(?:kind|best) regards|regards|cheers|yours|sincerely|mit freundlichen grüßen)\b[^.!?]{0,40}$",
    re.IGNORECASE,
)
SALUTATION = re.compile(r"^(?:dear|hello|hi|liebe\w*)\b[^,.!?]{0,25},\s+", re.IGNORECASE)
NAMED = re.compile(r"^(?:decision|decided|deadline)\s*:\s*", re.IGNORECASE)
HEADED = re.compile(r"heading [\"“«]([^\"”»]+)[\"”»](?:: *(yes|no))?", re.IGNORECASE)


@dataclass(frozen=True)
class _Point:
    """A sentence and the short title that stands before it."""

    text: str
    title: str = ""

    @property
    def words(self) -> int:
        return len(self.text.split())

    @property
    def weight(self) -> int:
        return len(TELLING.findall(self.text)) + 2 * bool(DECISION.search(self.text))


def summarise(brief: Brief) -> str:
    """Bullets, or paragraphs where the instructions ask for them; decisions in a list of their own if so asked."""
    points = _points(brief.material[:LONGEST_TEXT])
    if not points:
        return f"The text says little that could be summarised: “{subject(brief.material)}”."
    words = _wanted_words(brief.instructions)
    if words is None:
        shown = points[: _wanted_points(brief.instructions)]
        return "**Summary**\n\n" + _bullets([_Point(_clause(point.text), point.title) for point in shown])
    heading = _heading(brief.instructions)
    decisions = [point for point in points if DECISION.search(point.text)][:4] if heading else []
    rest = [point for point in points if point not in decisions]
    total = sum(point.words for point in points)
    whole = min(words, round(total * SHARE))
    budget = max(whole - sum(point.words for point in decisions), whole // 2)
    is_short = total < SHORT_TEXT
    parts = [_in_form(rest or points if is_short else _chosen(rest or points, budget), brief.instructions)]
    if is_short and "too short" in brief.instructions:
        parts.insert(0, "The text is so short that little can be left out.")
    if heading:
        parts.append(
            f"### {heading}\n"
            + (
                _bullets([replace(point, text=NAMED.sub("", point.text)) for point in decisions])
                if decisions
                else "None stated."
            )
        )
    return "\n\n".join(parts)


def _points(text: str) -> list[_Point]:
    """The sentences of the running text, without letterheads, headings and lone labels."""
    found: list[_Point] = []
    for line in unwrapped(text):
        bare = SALUTATION.sub("", LIST_MARK.sub("", line))
        parts = [part for part in line_sentences(bare) if not LETTER.search(part)]
        longest = LONGEST_HEADING if LIST_MARK.match(line) else 2
        heads_more = len(parts) > 1 and len(parts[0].split()) <= longest and parts[0].endswith(".")
        title, parts = (parts[0], parts[1:]) if heads_more else ("", parts)
        found += [_Point(part, title if index == 0 else "") for index, part in enumerate(parts)]
    whole = [point for point in found if point.text[-1] in ".!?…”)" and point.words > 1]
    return whole or [point for point in found if point.words > 1]


def _wanted_words(instructions: str) -> int | None:
    found = re.search(r"(\d+)[ -]words?\b", instructions)
    return int(found.group(1)) if found else None


def _wanted_points(instructions: str) -> int:
    found = re.search(r"\b(\d+) (?:short )?(?:sentences?|bullets?|bullet points|points)\b", instructions)
    if found:
        return int(found.group(1))
    return POINTS // 2 if re.search(r"\bshort\b", instructions) else POINTS


def _heading(instructions: str) -> str:
    """The heading that the instructions ask for, unless they say no to it."""
    found = HEADED.search(instructions)
    return found.group(1) if found and (found.group(2) or "yes").lower() == "yes" else ""


def _chosen(points: Sequence[_Point], budget: int) -> list[_Point]:
    """The weightiest sentences that fit, in the order of the text; at least one, and none without weight beside it."""
    kept: list[int] = []
    for index in sorted(range(len(points)), key=lambda index: -points[index].weight):
        point = points[index]
        if not kept or (point.weight and point.words <= budget):
            kept.append(index)
            budget -= point.words
    return [points[index] for index in sorted(kept)]


def _in_form(points: Sequence[_Point], instructions: str) -> str:
    texts = [_upper_first(point.text) for point in points]
    if re.search(r"\b(?:one|a single) paragraph\b", instructions):
        return " ".join(texts)
    if re.search(r"\bparagraphs\b", instructions):
        return "\n\n".join(" ".join(texts[start : start + 3]) for start in range(0, len(texts), 3))
    return _bullets(points)


def _bullets(points: Sequence[_Point]) -> str:
    return "\n".join(
        "- " + (f"**{point.title}** " if point.title else "") + _upper_first(_shortened(point.text)) for point in points
    )


def _shortened(text: str) -> str:
    return text if len(text.split()) <= LONGEST_BULLET else _clause(text)


def _clause(sentence: str) -> str:
    """The first clause of three words and more, as a sentence."""
    clauses = re.split(r"[,;:–(](?=\s|$)|\s\(", sentence)
    long = next((index for index, clause in enumerate(clauses) if len(clause.split()) > 2), len(clauses) - 1)
    end = sentence.index(clauses[long]) + len(clauses[long])
    return f"{sentence[:end].strip(' -*#.>,;:')}."


def _upper_first(text: str) -> str:
    return text[:1].upper() + text[1:]
