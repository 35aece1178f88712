"""What is a customer's comment about, how is it meant, and does it wait?"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from core.simulator.reading import Brief, sentences

POSITIVE = re.compile(
    r"\b(?:good|great|lov(?:e|ed|ely)|fast|quick|friendly|easy|excellent|thank\w*|happy|helpful|likes?|liked|patient"
    r"|kind|nice|perfect|wonderful|recommend|sturdy|beautiful|pleased|gut|toll|schnell|danke|super|gracias|merci)\b",
    re.IGNORECASE,
)
NEGATIVE = re.compile(
    r"\b(?:bad|slow|broken?|broke|late|rude|crash\w*|errors?|missing|expensive|never|problems?|poor|not|no|cannot"
    r"|without|again|twice|(?:three|four|several) times|took|lost|wrong|unhappy|smoke\w*|burn\w*|defective|awkward"
    r"|useless|wait(?:ed|ing)|disappoint\w*|complain\w*|refund|leak\w*|scratch\w*|demasiado|teuer|schlecht|kaputt"
    r"|nicht|leider|trop|\w+n['’]t)\b",
    re.IGNORECASE,
)
PLAIN_PRAISE = re.compile(r"\bnot (?:bad|wrong)\b|\b(?:no|without) (?:problems?|errors?)\b", re.IGNORECASE)
IRONY = re.compile(r"^\W*(?:great|nice|wonderful|thanks|perfect),? (?:another|again|now)\b", re.IGNORECASE)
URGENT = re.compile(
    r"\b(?:urgent\w*|today|immediately|at once|asap|emergency|smok\w*|fire|burn\w*|sparks?|danger\w*|injur\w*|fraud\w*"
    r"|hacked|leaked|stolen|charged twice|cannot work|dringend|sofort)\b",
    re.IGNORECASE,
)
# What people say when they mean a category of this name.
TOPICS: Mapping[str, str] = {
    "deliver|shipping|logistic|liefer": r"deliver\w*|parcel|package|shipp\w+|carrier|courier|arriv\w*|weeks|neighbour"
    r"|tracking|late|envío|liefer\w*|paket|livraison",
    "price|pric|cost|billing|payment|preis": r"pric\w+|charged?|expensive|cheap\w*|cost\w*|money|invoice|bill\w*|paid"
    r"|dear|refund|caro|teuer|preis\w*|cher",
    "quality|product|article|qualit": r"quality|broken?|broke|sturdy|lasts?|lasted|colou?rs?|lovely|smoke\w*|material"
    r"|defective|guarantee|warranty|scratch\w*|fits?|kaputt|works|stopped",
    "service|support|staff|team": r"service|staff|colleagues?|friendly|helpful|patient|rude|support|hotline|answer\w*"
    r"|kind|polite|agent|called",
    "website|site|shop|app|usab|online": r"website|site|checkout|page|app|login|log in|search|phone|password|cart"
    r"|browser|chart|button|online|find|click",
}
FALLBACKS = ("other", "others", "general", "misc", "miscellaneous", "none", "unknown", "sonstiges", "andere")
LONGEST_GIST = 12  # words


def mood(text: str) -> str:
    """`positive`, `negative`, `neutral` or `mixed`."""
    if IRONY.search(text):
        return "negative"
    blamed = bool(NEGATIVE.search(PLAIN_PRAISE.sub("good", text)))
    if POSITIVE.search(text) or PLAIN_PRAISE.search(text):
        return "mixed" if blamed else "positive"
    return "negative" if blamed else "neutral"


def is_urgent(text: str) -> bool:
    return bool(URGENT.search(text))


def gist(text: str) -> str:
    """The first words of a comment."""
    words = text.split()
    return " ".join(words[:LONGEST_GIST]).rstrip(".!, ") + ("…" if len(words) > LONGEST_GIST else "")


def closest(options: Sequence[str], text: str) -> str | None:
    """The option that most words of the text speak for, of several the one named last; None if none does."""
    scored = []
    for option in options:
        places = [match.start() for match in re.finditer(_words_for(option), text, re.IGNORECASE)]
        scored.append((len(places), max(places, default=-1), option))
    count, _, best = max(scored, key=lambda found: found[:2], default=(0, -1, ""))
    return best if count else None


def fallback(options: Sequence[str]) -> str | None:
    """The option for what fits nowhere."""
    return next((option for option in options if option.lower() in FALLBACKS), None)


def listed_categories(instructions: str) -> list[str]:
    """The categories that a prompt lists after a colon, separated by commas."""
    found = re.search(r"categor(?:y|ies)[^:\n]{0,60}:[ \t]*([^\n]+?)(?:\.\s|\.?$)", instructions, re.I | re.M)
    return [name for part in found.group(1).split(",") if (name := part.strip(" «»\"'"))] if found else []


def categorised(categories: Sequence[str], comment: str) -> str:
    return closest(categories, comment) or fallback(categories) or categories[-1]


def themes(brief: Brief) -> list[dict[str, str | int]]:
    """The categories of two comments and more, the most frequent first: `theme`, `count`, `quote`."""
    found = comments(brief.material)
    categories = listed_categories(brief.instructions) or [key.split("|")[0].title() for key in TOPICS]
    most = re.search(r"at most (\d+)", brief.instructions)
    quoted = not re.search(r"quote[^.\n]*:\s*no\b", brief.instructions, re.IGNORECASE)
    groups = {name: [comment for comment in found if closest(categories, comment) == name] for name in categories}
    groups = {name: group for name, group in groups.items() if len(group) > 1 and name.lower() not in FALLBACKS}
    ordered = sorted(groups.items(), key=lambda item: -len(item[1]))
    return [
        {"theme": name, "count": len(group), "quote": group[0] if quoted else ""}
        for name, group in ordered[: int(most.group(1)) if most else 3]
    ]


def comments(text: str) -> list[str]:
    """One comment for each line, or for each sentence of a single line."""
    lines = [line.strip(" -*•\t") for line in text.splitlines() if line.strip(" -*•\t")]
    return lines if len(lines) > 1 else sentences(text)


def sorted_comments(brief: Brief) -> str:
    """The comments under the categories that the prompt lists, or as praise and complaints."""
    categories = listed_categories(brief.instructions)
    groups: dict[str, list[str]] = {name: [] for name in categories or ("Praise", "Complaints", "Other")}
    moods = {"positive": "Praise", "negative": "Complaints", "mixed": "Complaints", "neutral": "Other"}
    for comment in comments(brief.material)[:100]:
        groups[categorised(categories, comment) if categories else moods[mood(comment)]].append(comment)
    parts = [
        f"**{name}** ({len(items)})\n" + "\n".join(f"- {item}" for item in items) for name, items in groups.items()
    ]
    return "\n\n".join(part for part in parts if "- " in part) or "I see no comments in your message."


def _words_for(option: str) -> str:
    """A pattern of the words that speak for an option: its own, and what people say instead."""
    own = [re.escape(word) for word in re.findall(r"[^\W_]+", option.lower())]
    meant = [words for name, words in TOPICS.items() if re.search(rf"\b(?:{name})", option.lower())]
    return rf"\b(?:{'|'.join([*own, *meant]) or '(?!)'})\b"
