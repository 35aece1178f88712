"""Is an answer shown as what it is, and can it do no harm?"""

from __future__ import annotations

from decimal import Decimal
from html import unescape

import pytest

from core.pages import answers, formats


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "<iframe src='https://evil'></iframe>",
        "[click](javascript:alert(1))",
        "[click](data:text/html;base64,PHNjcmlwdD4=)",
        "<a href='javascript:alert(1)'>x</a>",
        "![x](https://evil.example/pixel.png)",
        "<style>body{display:none}</style>",
        "`<b>`<svg/onload=alert(1)>",
        "| a |\n|:-:|\n| <u>x</u> |",
        '[x](https://ok.example "onmouseover=alert(1)")',
    ],
)
def test_hostile_markdown_cannot_act(hostile: str) -> None:
    html = str(answers.shown(hostile).html)
    for harm in ("<script", "<img", "<iframe", "<style", "<svg", 'href="javascript', 'href="data', " style=", "<u>"):
        assert harm not in html


@pytest.mark.parametrize("text", ["{{ x|safe }}", "{% include 'x' %}", "{0.__class__}", "<b>bold</b>"])
def test_what_looks_like_a_template_or_html_stays_text(text: str) -> None:
    html = str(answers.shown(text).html)
    assert unescape(html) == f"<p>{text}</p>\n"
    assert "<b>" not in html


def test_links_give_nothing_away() -> None:
    html = str(answers.shown("[site](https://example.org)").html)
    assert 'href="https://example.org"' in html
    assert 'rel="noopener noreferrer nofollow"' in html


def test_headings_lists_tables_and_code_are_rendered() -> None:
    html = str(answers.shown("# Title\n\n- one\n\n| a |\n|---|\n| b |\n\n```\nx < y\n```").html)
    assert "<h3>Title</h3>" in html
    for mark in ("<li>one</li>", "<td>b</td>", "x &lt; y"):
        assert mark in html


@pytest.mark.parametrize("text", ["{not json", "[1, 2", "12", '"text"', "", "{" * 100_000])
def test_what_is_no_json_object_is_no_data(text: str) -> None:
    assert answers.as_data(text) is None


def test_an_object_is_shown_as_entries() -> None:
    shown = answers.shown('{"due_date": null, "sum": 1.5, "ok": false, "empty": [], "deep": {"a": 1}, "": "x"}')
    assert shown.entries
    assert [(entry.label, entry.text) for entry in shown.entries[:4]] == [
        ("Due date", "none"),
        ("Sum", "1.5"),
        ("Ok", "no"),
        ("Empty", "none"),
    ]
    assert '"a": 1' in shown.entries[4].deeper


def test_a_list_of_flat_objects_is_shown_as_a_table() -> None:
    shown = answers.shown('{"lines": [{"unit_price": 2, "tax": null}, {"unit_price": 3, "note": "<b>"}]}')
    assert shown.entries
    assert shown.entries[0].columns == ("Unit price", "Tax", "Note")
    assert shown.entries[0].rows == (("2", "none", ""), ("3", "", "<b>"))
    assert answers.shown('{"lines": [{"a": [1]}]}').entries[0].deeper  # type: ignore[index]


def test_a_very_long_answer_is_shown_as_plain_text() -> None:
    assert answers.shown("x" * 200_001).plain


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        ("0", "$0"),
        ("0.0012", "$0.0012"),
        ("0.000034", "$0.000034"),
        ("0.0000000001", "$0.0000000001"),
        ("0.0199", "$0.020"),
        ("0.5", "$0.50"),
        ("0.999", "$1.00"),
        ("1.234", "$1.23"),
        ("1234567.891", "$1,234,567.89"),
    ],
)
def test_amounts_are_written_for_people(amount: str, words: str) -> None:
    assert formats.usd(Decimal(amount)) == words


def test_unknown_is_not_zero() -> None:
    assert formats.usd(None) == formats.exact_usd(None) == "unknown"
    assert formats.exact_usd(Decimal("1E-10")) == "0.0000000001"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, ""), (0.04, "0.0 s"), (9.96, "10.0 s"), (42.4, "42 s"), (59.6, "1 min 0 s"), (125, "2 min 5 s")],
)
def test_durations_are_written_for_people(seconds: float | None, words: str) -> None:
    assert formats.duration(seconds) == words


def test_little_is_not_nothing() -> None:
    assert [formats.percent(share) for share in (0.0, 0.004, 0.5, 1.0)] == ["0 %", "< 1 %", "50 %", "100 %"]


@pytest.mark.parametrize(
    ("beginning", "words"),
    [
        ("**Summary** - three _points_", "Summary - three points"),
        ("# Returns\n\n1. Pack it\n2. **Send** it", "Returns Pack it Send it"),
        ("- One\n- Two\n\n> said", "One Two said"),
        ("See [the page](https://example.org) and `code`", "See the page and code"),
        ("The rest name **delivery ti", "The rest name delivery ti"),
        ("```python\nprint(1)\n```", "print(1)"),
        ("| a | b |\n|---|---|\n| 1 | 2 |", "a b 1 2"),
        ("3 * 4 and obj.__class__ and snake_case", "3 * 4 and obj.__class__ and snake_case"),
        ("<b>bold</b>", "<b>bold</b>"),
        ("", ""),
    ],
)
def test_an_excerpt_is_plain_words(beginning: str, words: str) -> None:
    assert answers.plain(beginning) == words
