"""How is an answer shown? It is untrusted text: Markdown without raw HTML, sanitised, or data as a table."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import nh3
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline, emphasis
from markdown_it.token import Token

# Characters. Longer answers are shown as plain text, for rendering them would keep a page waiting.
LONGEST_RENDERED = 200_000
# Stars and backticks that open something after which the text is cut off; a star between spaces is multiplication.
_LEFT_OPEN = re.compile(r"\*\*+|`|(?<!\S)\*(?=\S)")
# The page has a heading of its own and one for the answer, so the answer's begin below.
HEADINGS_BELOW = 2

TAGS = {
    "a", "blockquote", "br", "code", "del", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "s",
    "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}}


@dataclass(frozen=True)
class Entry:
    """One line of an answer that is data: a text, a list of texts, a table, or JSON for what goes deeper."""

    label: str
    text: str = ""
    items: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    deeper: str = ""


@dataclass(frozen=True)
class Answer:
    """An answer ready for a template: exactly one of `html`, `entries` and `plain` is set, or none for no answer."""

    html: SafeString | None = None
    entries: list[Entry] | None = None
    plain: str = ""
    json: str = ""


def shown(text: str) -> Answer:
    """The answer as the page shows it."""
    if len(text) > LONGEST_RENDERED:
        return Answer(plain=text)
    data = as_data(text)
    if isinstance(data, dict):
        return Answer(entries=[_entry(key, value) for key, value in data.items()], json=_pretty(data))
    return Answer(html=markdown(text)) if text.strip() else Answer()


def plain(beginning: str) -> str:
    """The beginning of an answer as words in one line, without Markdown's signs, also those that the cut left open."""
    words = " ".join(_words(_parser().parse(beginning)))
    return " ".join(_LEFT_OPEN.sub("", words).split())


def _words(tokens: Iterable[Token]) -> Iterator[str]:
    for token in tokens:
        if token.type == "inline":
            # A line break between two words is white space; two pieces of one word have none between them.
            yield "".join(
                " " if child.type in {"softbreak", "hardbreak"} else child.content for child in token.children or ()
            )
        elif token.content:
            yield token.content


def as_data(text: str) -> dict[str, Any] | list[Any] | None:
    """The object or list that `text` is as JSON, else None."""
    if text.lstrip()[:1] not in {"{", "["}:
        return None
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict | list) else None


def markdown(text: str) -> SafeString:
    """Markdown as HTML that cannot act: no raw HTML, no scripts, no images, links that give nothing away."""
    parser = _parser()
    tokens = parser.parse(text)
    for token in tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(6, int(token.tag[1:]) + HEADINGS_BELOW)}"
    html = parser.renderer.render(tokens, parser.options, {})
    clean = nh3.clean(
        html,
        tags=TAGS,
        attributes=ATTRIBUTES,
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
    )
    return mark_safe(clean)  # noqa: S308 - sanitised in the line above


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    # An image would tell a stranger's server who reads this answer and when; without the rule it is a link.
    # A line break is kept as one, for letters and addresses are written that way.
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True})
    parser.enable(["table", "strikethrough"]).disable("image")
    parser.inline.ruler.at("emphasis", _emphasis)
    return parser


def _emphasis(state: StateInline, silent: bool) -> bool:
    """Stars and single underscores set words off; a double underscore is a part of names such as `__class__`."""
    if "__" in state.src[max(0, state.pos - 1) : state.pos + 2] and state.src[state.pos] == "_":
        return False
    return emphasis.tokenize(state, silent)


def _entry(key: str, value: Any) -> Entry:
    label = _label(key)
    if isinstance(value, list) and all(not isinstance(item, dict | list) for item in value):
        return Entry(label, items=tuple(_scalar(item) for item in value)) if value else Entry(label, text="none")
    if isinstance(value, list) and all(_is_flat(item) for item in value):
        names = list(dict.fromkeys(name for item in value for name in item))
        rows = tuple(tuple(_scalar(item[name]) if name in item else "" for name in names) for item in value)
        return Entry(label, columns=tuple(_label(name) for name in names), rows=rows)
    if isinstance(value, dict | list):
        return Entry(label, deeper=_pretty(value))
    return Entry(label, text=_scalar(value))


def _label(key: str) -> str:
    words = key.replace("_", " ").strip()
    return words[:1].upper() + words[1:] or key


def _is_flat(item: Any) -> bool:
    """Whether it is an object without anything deeper: one row of a table."""
    return isinstance(item, dict) and all(not isinstance(value, dict | list) for value in item.values())


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
