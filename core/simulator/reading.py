"""What does a request ask for, in plain text, and what is it to be done with?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from core.simulator.faults import without_directives

LONGEST_SUBJECT = 12  # words
LONGEST_ABBREVIATION = 10  # characters, the blank before it included
LONG_LINE = 40  # characters; a sentence goes on in the next line only where a line was full
SHORTEST_MATERIAL = 2  # words after a colon that can be what an instruction is about
SENTENCE_END = re.compile(r"(?<=[.!?…])[\"”’)»]?\s+")
NO_END = re.compile(r"(?:^|\s)(?:[A-ZÀ-Þ]|\d{1,2}|Mr|Mrs|Ms|Dr|Prof|St|No|Nr|e\.g|i\.e|z\.B|ca|approx)\.$")
LIST_MARK = re.compile(r"^(?:[-*•>#]+|\d{1,2}[.)])\s+")
TAG = re.compile(r"^[ \t]*<(/?[A-Za-z][\w-]*)>[ \t]*$", re.MULTILINE)
INSTRUCTION = re.compile(
    r"\W*(?:please\b|summar|translat|explain|answer|reply|respond|sort|review|write|describe|list|extract|read|classif)",
    re.IGNORECASE,
)
LABEL = r"^\W*{}\s*:[ \t]*(\S.*)$"


@dataclass(frozen=True)
class Brief:
    """A text taken apart: what is to be done, and the material to do it with.

    `blocks` are the texts between tags, by tag; where there are none, `material` is a guess.
    """

    material: str
    instructions: str = ""
    blocks: Mapping[str, str] = field(default_factory=dict)


def tagged_brief(text: str) -> Brief | None:
    """The brief of a text with material between tags, each tag on a line of its own; the longest block counts."""
    blocks: dict[str, str] = {}
    around, end = [], 0
    for tag, start, stop, following in _tagged(text):
        content = text[start:stop].strip("\n").rstrip()
        blocks[tag] = f"{blocks[tag]}\n\n{content}" if tag in blocks else content
        around.append(text[end : text.rindex("<", end, start)])
        end = following
    if not blocks:
        return None
    return Brief(max(blocks.values(), key=len), "".join([*around, text[end:]]).strip(), blocks)


def _tagged(text: str) -> Iterator[tuple[str, int, int, int]]:
    """Each outermost block: its tag, where its content begins and ends, and where the text goes on."""
    tags = [(match.group(1), match.start(), match.end()) for match in TAG.finditer(text)]
    closing: dict[str, list[tuple[int, int]]] = {}
    for name, start, end in reversed(tags):
        if name.startswith("/"):
            closing.setdefault(name[1:], []).append((start, end))
    after = 0
    for name, start, end in tags:
        ends = closing.get(name, [])
        while ends and ends[-1][0] < end:
            ends.pop()
        if ends and start >= after:
            stop, after = ends[-1]
            yield name, end, stop, after


def read_brief(text: str) -> Brief:
    """The brief of any text: without tags, the material follows the first colon or blank line of an instruction."""
    found = tagged_brief(text)
    if found:
        return found
    first, _, rest = text.partition("\n")
    tail = text[-150:] if len(text) > 450 else ""
    if first.rstrip().endswith(":") and rest.strip():
        return Brief(rest.strip(), f"{first}\n{tail}")
    after = _after_instruction(text) if INSTRUCTION.match(first) else ""
    if after:
        return Brief(after, f"{text.removesuffix(after)}\n{tail}")
    return Brief(text, f"{text[:300]}\n{tail}")


def _after_instruction(text: str) -> str:
    first, _, rest = text.partition("\n")
    after_colon = first.partition(": ")[2].strip()
    if len(after_colon.split()) >= SHORTEST_MATERIAL:
        return text[text.index(after_colon) :]
    paragraphs = re.split(r"\n[ \t]*\n", text, maxsplit=1)
    return (paragraphs[1] if len(paragraphs) > 1 else rest).strip()


def user_text(params: Mapping[str, Any]) -> str:
    """All text of all user messages, directives included."""
    return "\n".join(
        text for message in params["messages"] if message["role"] == "user" for text in texts(message["content"])
    )


def last_user_text(params: Mapping[str, Any]) -> str:
    """The text of the last user message that has any, without directives: what the answer is about."""
    for message in reversed(params["messages"]):
        text = without_directives("\n".join(texts(message["content"])))
        if message["role"] == "user" and text:
            return text
    return ""


def system_text(params: Mapping[str, Any]) -> str:
    """The system prompt, mid-conversation system messages included."""
    system = params.get("system") or ""
    parts = [*texts(system)]
    for message in params["messages"]:
        if message["role"] == "system":
            parts += texts(message["content"])
    return "\n".join(parts)


def tool_results(params: Mapping[str, Any]) -> list[str]:
    """The texts of the tool results in the last message."""
    content = params["messages"][-1]["content"]
    if isinstance(content, str):
        return []
    return ["\n".join(texts(block.get("content") or "")) for block in content if block["type"] == "tool_result"]


def texts(content: Any) -> Iterator[str]:
    """The texts of a message's content: its own and those of plain documents."""
    if isinstance(content, str):
        yield content
        return
    for block in content:
        if block["type"] == "text":
            yield block["text"]
        elif block["type"] == "document" and block["source"]["type"] == "text":
            yield block["source"]["data"]


def sentences(text: str) -> list[str]:
    """The sentences of a text, in order, without the marks of lists and headings."""
    return [sentence for line in unwrapped(text) for sentence in line_sentences(line)]


def line_sentences(line: str) -> list[str]:
    """The sentences of one line; `T. Costa`, `EUR 3.50` and `18:00` do not end one."""
    found: list[list[str]] = []
    for piece in SENTENCE_END.split(LIST_MARK.sub("", line.strip())):
        if found and NO_END.search(found[-1][-1][-LONGEST_ABBREVIATION:]):
            found[-1].append(piece)
        else:
            found.append([piece])
    return [tidy for pieces in found if len(tidy := " ".join(" ".join(pieces).split())) > 1]


def unwrapped(text: str) -> list[str]:
    """The lines that say something; a sentence broken over several lines is put together again."""
    lines: list[str] = []
    goes_on = False
    for raw in text.splitlines():
        line = raw.strip()
        if goes_on and line[:1].islower():
            lines[-1] = f"{lines[-1]} {line}"
        elif line:
            lines.append(line)
        goes_on = len(line) > LONG_LINE and line[-1] not in ".!?:;"
    return lines


def subject(text: str) -> str:
    """A few words that say what a text is about: its title or subject line, or its first clause."""
    titled = labelled(text, "subject|re|betreff|title")
    words = re.split(r"[.!?;](?:\s|$)|:", titled or _first_line(text))[0].split()
    return " ".join(words[:LONGEST_SUBJECT]) + ("…" if len(words) > LONGEST_SUBJECT else "")


def labelled(text: str, labels: str) -> str:
    """What follows one of the labels, a pattern, and a colon at the beginning of a line."""
    found = re.search(LABEL.format(f"(?:{labels})"), text, re.IGNORECASE | re.MULTILINE)
    return found.group(1).strip() if found else ""


def _first_line(text: str) -> str:
    """The first line that is more than a label such as `Document:`."""
    lines = [stripped for line in text.splitlines() if (stripped := line.strip(" #*-`"))]
    return next((line for line in lines if not line.endswith(":")), lines[0] if lines else "")
