"""What would one write back to a customer?"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from core.simulator.dates import find_dates
from core.simulator.reading import Brief, labelled, sentences

LONGEST_MESSAGE = 20_000  # characters
LONGEST_QUOTE = 30  # words
HARM = re.compile(
    r"\b(lawyer|solicitor|legal|court|sue|police|burn(?:t|ed)?|injur\w*|hospital|on fire|electric shock|anwalt|gericht"
    r"|verletzt)\b",
    re.IGNORECASE,
)
GREETING = re.compile(
    r"^(?:hello|hi|dear|good (?:morning|afternoon|day)|guten (?:tag|morgen)|hallo|sehr geehrte|liebe)\b"
    r"(?:(?: \w+){0,4}[,!]|$)\s*",
    re.IGNORECASE,
)
CLOSING = re.compile(
    r"^(?:(?:kind|best) regards|regards|yours|thank you|thanks|mit freundlichen grüßen|viele grüße)\b", re.I
)
TITLED_NAME = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|Prof)\.? [A-ZÀ-Þ][\w’'-]+")
PLAIN_NAME = re.compile(r"^[A-ZÀ-Þ][\w’'.-]+(?: [A-ZÀ-Þ][\w’'.-]+){1,2}$")
GERMAN = re.compile(r"\b(?:ich|und|nicht|meine[rnm]?|bei|ist|grüßen|bitte|habe|mit)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Phrases:
    """What a letter is made of, in one language."""

    dear: str
    friendly: str
    nobody: str
    about: str
    wrote: str
    sorry: str
    known: str
    open_question: str
    answered_question: str
    passed_on: str
    promise: str
    voucher: str
    end: str
    arrived: str
    regards: str
    signature: str


ENGLISH = Phrases(
    dear="Dear {},",
    friendly="Hello {},",
    nobody="Dear customer,",
    about="Thank you for your message about “{}”.",
    wrote="Thank you for your message. You write: “{}”",
    sorry="I understand that this matters to you, and I am sorry for the trouble.",
    known="This is what I can tell you about it:",
    open_question="You ask: “{}” A colleague will look into it and write to you.",
    answered_question="You ask: “{}” What the above leaves open, a colleague will look into.",
    passed_on="A colleague will look into it and write to you.",
    promise="You can count on {}.",
    voucher="For the trouble we would like to give you a voucher for your next order. Tell us if you would like it.",
    end="If anything changes in the meantime, just reply to this message. It will reach the same colleagues.",
    arrived="Your message has arrived. A colleague will be in touch with you personally.",
    regards="Kind regards",
    signature="Customer service",
)
IN_GERMAN = Phrases(
    dear="Guten Tag {},",
    friendly="Guten Tag {},",
    nobody="Guten Tag,",
    about="danke für Ihre Nachricht zu „{}“.",
    wrote="danke für Ihre Nachricht. Sie schreiben: „{}“",
    sorry="Es tut mir leid, dass Sie sich damit befassen müssen.",
    known="Das kann ich Ihnen dazu sagen:",
    open_question="Sie fragen: „{}“ Eine Kollegin wird es klären und Ihnen schreiben.",
    answered_question="Sie fragen: „{}“ Was danach offen bleibt, klärt eine Kollegin.",
    passed_on="Eine Kollegin wird es klären und Ihnen schreiben.",
    promise="Sie können mit dem {} rechnen.",
    voucher="Für die Umstände möchten wir Ihnen einen Gutschein für Ihre nächste Bestellung geben.",
    end="Wenn sich in der Zwischenzeit etwas ändert, antworten Sie einfach auf diese Nachricht.",
    arrived="Ihre Nachricht ist angekommen. Eine Kollegin wird sich persönlich bei Ihnen melden.",
    regards="Mit freundlichen Grüßen",
    signature="Kundenservice",
)


def reply(brief: Brief) -> str:
    """A letter to the customer in English or German, with what the other blocks of the brief state as facts."""
    message, facts = _message_and_facts(brief)
    instructions = brief.instructions
    phrases = IN_GERMAN if len(GERMAN.findall(message)) > 2 else ENGLISH
    greeting = _greeting(message, instructions, phrases)
    signature = re.search(r"\b(?:signature|sign as)\b[^\n«]{0,20}«([^»\n]+)»", instructions, re.IGNORECASE)
    closing = f"{phrases.regards}\n{signature.group(1) if signature else phrases.signature}"
    if HARM.search(message) and re.search(r"\b(?:legal|safety|threat)\b", instructions):
        return f"{greeting}\n\n{phrases.arrived}\n\n{closing}"
    parts = [f"{_mention(message, phrases)} {phrases.sorry}", *_answer(message, facts, phrases)]
    promised = re.search(r"promise[^\n]*:[ \t]*([^\n]+)", instructions, re.IGNORECASE)
    if promised and find_dates(promised.group(1)):
        parts.append(phrases.promise.format(_written(promised.group(1), phrases)))
    if re.search(r"\bvoucher\b[^\n:]*:\s*yes\b", instructions, re.IGNORECASE):
        parts.append(phrases.voucher)
    return "\n\n".join([greeting, *parts, phrases.end, closing])


def _message_and_facts(brief: Brief) -> tuple[str, str]:
    """The block whose tag speaks of the customer or a message, and all others; without such a tag the longest."""
    named = [tag for tag in brief.blocks if re.search(r"customer|message|mail|complaint|inquiry|ticket", tag.lower())]
    if not named:
        return brief.material[:LONGEST_MESSAGE], ""
    return brief.blocks[named[0]][:LONGEST_MESSAGE], "\n".join(_others(brief.blocks, named[0]))


def _others(blocks: Mapping[str, str], tag: str) -> list[str]:
    return [text for name, text in blocks.items() if name != tag and text.strip()]


def _greeting(message: str, instructions: str, phrases: Phrases) -> str:
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    signed = next((match.group(0) for line in lines[-2:] if (match := TITLED_NAME.match(line))), "")
    if not signed and len(lines) > 1 and PLAIN_NAME.match(lines[-1]):
        signed = lines[-1]
    if not signed:
        return phrases.nobody
    friendly = re.search(r"\btone: friendly\b", instructions, re.IGNORECASE)
    return (phrases.friendly if friendly else phrases.dear).format(signed)


def _mention(message: str, phrases: Phrases) -> str:
    """What the customer wrote, by the subject of the message or in its first words."""
    titled = labelled(message, "subject|re|betreff")
    if titled:
        return phrases.about.format(titled)
    found = _statements(message)
    return (
        phrases.wrote.format(_quoted(found[0])) if found else phrases.about.format(_quoted(" ".join(message.split())))
    )


def _statements(message: str) -> list[str]:
    """The sentences of the message without greeting, closing and name; what is told before what is asked."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    body = [line for line in lines if not CLOSING.match(line) and not TITLED_NAME.match(line)]
    found = [rest for sentence in sentences("\n".join(body)) if len((rest := GREETING.sub("", sentence)).split()) > 2]
    return sorted(found, key=lambda sentence: sentence.endswith("?"))


def _answer(message: str, facts: str, phrases: Phrases) -> list[str]:
    """What is known, then each question that is not already quoted."""
    questions = [sentence for sentence in _statements(message) if sentence.endswith("?")]
    if not facts:
        asked = [phrases.open_question.format(question) for question in questions[:3]]
        return asked or [phrases.passed_on]
    known = f"{phrases.known} {' '.join(sentences(facts))}"
    return [known, *(phrases.answered_question.format(_quoted(question)) for question in questions[:2])]


def _quoted(text: str) -> str:
    words = text.split()
    words[0] = words[0][0].upper() + words[0][1:]
    return " ".join(words[:LONGEST_QUOTE]) + ("…" if len(words) > LONGEST_QUOTE else "")


def _written(text: str, phrases: Phrases) -> str:
    day = find_dates(text)[0][1]
    return f"{day.day}.{day.month}.{day.year}" if phrases is IN_GERMAN else f"{day.day} {day:%B %Y}"
