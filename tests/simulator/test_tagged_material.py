"""Material between tags is what an answer is about; what stands around it are instructions."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from core.demo.drafts import SYSTEM_PROMPTS
from core.demo.prompts import DRAFTS
from core.prompts.templates import fill
from core.simulator.reading import read_brief, tagged_brief, user_text
from core.simulator.schema_answers import answer_schema

from .conftest import text_of

Run = Callable[..., Any]

DOCUMENT = """Minutes, Product, Thursday

1. Backlog. 44 open requests, down from 81 a month ago. T. Costa attributes this to the new triage.
2. Returns from Graz. The carrier lost two pallets worth EUR 530.93. Nobody was hurt, and the lorry was old.
3. Decision: the evening shift is to be tried for six weeks. T. Costa publishes the rota by Friday."""

INVOICE = """Brightwell Cleaning Ltd
Tax id DE75479012

INVOICE 2026-117          2026-10-30

10 x Copy paper A4, 80 g   at 13.33      133.30 EUR
VAT 19 %                                  25.33 EUR
To be paid                                158.63 EUR

30 days net"""

GERMAN_INVOICE = """Muster & Söhne KG
USt-IdNr.: DE 123456789
Rechnungsnummer: RE-2026-0042
Rechnungsdatum: 03.11.2026
Fällig am 17.11.2026

Pos  Artikel        Menge   Preis        Betrag
1    Bohrmaschine   2       1.249,50 €   2.499,00 €

Zwischensumme   2.499,00 €
MwSt. 19 %      474,81 €
Gesamtbetrag    2.973,81 €"""

FEEDBACK = """The lamp is lovely, but it took two weeks to get here
Fast delivery, thank you!
The lamp started to smoke when I plugged it in
fine"""


@pytest.fixture
def run(ask: Any) -> Run:
    """Use one of the demo's prompts, filled in like its form would do it."""

    def use(slug: str, **inputs: str) -> Any:
        draft = next(draft for draft in DRAFTS if draft.slug == slug)
        values = {blank.name: inputs.get(blank.name, blank.default) for blank in draft.blanks}
        params: dict[str, Any] = {"system": SYSTEM_PROMPTS[draft.system][1]} if draft.system else {}
        if draft.output_schema:
            params["output_config"] = {"format": {"type": "json_schema", "schema": draft.output_schema}}
        text = text_of(ask(fill(draft.template, values), max_tokens=draft.max_tokens, **params))
        return json.loads(text) if draft.output_schema else text

    return use


def test_a_summary_has_the_documents_figures_and_none_of_the_rules(run: Run) -> None:
    answer = run("summarise-a-document", document=DOCUMENT, audience="the board", words="100")
    points, decisions = answer.split("### Decisions and deadlines\n")
    assert "- **Backlog.** 44 open requests, down from 81 a month ago." in points
    assert "- The evening shift is to be tried for six weeks." in decisions
    assert "- T. Costa publishes the rota by Friday." in decisions
    assert not [word for word in ("Markdown", "board", "heading", "Minutes") if word in answer]


@pytest.mark.parametrize("words", [40, 80])
def test_a_summary_is_as_long_as_asked(run: Run, words: int) -> None:
    long = " ".join(f"In month {number} the yard sold {number} tons of gravel." for number in range(40))
    answer = run("summarise-a-document", document=long, words=str(words), list_decisions="no")
    assert words * 0.7 < len(answer.split()) <= words * 1.2


@pytest.mark.parametrize(("form", "bullets", "paragraphs"), [("one paragraph", 0, 1), ("short paragraphs", 0, 2)])
def test_a_summary_has_the_form_that_was_asked_for(run: Run, form: str, bullets: int, paragraphs: int) -> None:
    long = " ".join(f"In month {number} the yard sold {number} tons of gravel." for number in range(8))
    answer = run("summarise-a-document", document=long, form=form, words="200", list_decisions="no")
    assert (answer.count("- "), len(answer.split("\n\n"))) == (bullets, paragraphs)


def test_a_reply_quotes_the_customer_states_what_is_known_and_is_signed(run: Run) -> None:
    answer = run(
        "answer-a-customer",
        customer_message="Hello, my desk lamp has not come (order 4711). Where is it?\nMs Brandt, Leeds",
        what_we_know="The carrier lost order 4711, and a replacement left today. It arrives in two days.",
        goodwill="yes",
        promised_for="2026-11-20",
        signature="Kim of Lamps",
    )
    assert answer.startswith("Hello Ms Brandt,\n\n")
    assert answer.endswith("\n\nKind regards\nKim of Lamps")
    for part in ("“My desk lamp has not come (order 4711).”", "a replacement left today", "“Where is it?”"):
        assert part in answer
    assert "20 November 2026" in answer
    assert "voucher" in answer
    assert 60 <= len(answer.split()) <= 180


def test_a_reply_offers_and_promises_nothing_unasked(run: Run) -> None:
    answer = run("answer-a-customer", customer_message="The lid of my kettle is missing.", what_we_know="")
    assert "voucher" not in answer
    assert "count on" not in answer
    assert "A colleague will look into it" in answer


def test_a_german_customer_gets_a_german_reply(run: Run) -> None:
    message = "Guten Tag, bei meiner Bestellung fehlt das Zubehör. Was soll ich tun?\nMit freundlichen Grüßen"
    answer = run("answer-a-customer", customer_message=message, what_we_know="", signature="Ihr Kundenservice")
    assert answer.startswith("Guten Tag,\n\ndanke für Ihre Nachricht.")
    assert answer.endswith("Mit freundlichen Grüßen\nIhr Kundenservice")


def test_a_threat_is_only_confirmed(run: Run) -> None:
    answer = run("answer-a-customer", customer_message="It burned my hand. I will see a lawyer.", what_we_know="")
    assert answer.split("\n\n")[1:-1] == ["Your message has arrived. A colleague will be in touch with you personally."]


@pytest.mark.parametrize("language", ["Polish", "Turkish", "Ukrainian"])
def test_a_translation_names_its_language_and_keeps_text_and_layout(run: Run, language: str) -> None:
    text = "# Returns\n\n1. Pack the article in its box.\n2. Hand it in at any ParcelPoint."
    answer = run("translate", text=text, language=language, keep="ParcelPoint")
    assert answer.startswith(f"[{language}]\n\n{text}")
    assert "Simulated" in answer
    assert "Form of address" not in answer


def test_a_translation_into_a_known_language_has_some_of_its_words(run: Run) -> None:
    answer = run("translate", text="Your parcel comes tomorrow.", language="German")
    assert answer.startswith("[German] Ihr Paket comes morgen.")


def test_an_invoices_fields_are_those_of_its_text(run: Run) -> None:
    assert run("extract-an-invoice", invoice=INVOICE, received_on="2026-11-03") == {
        "is_invoice": True,
        "supplier": "Brightwell Cleaning Ltd",
        "supplier_tax_id": "DE75479012",
        "invoice_number": "2026-117",
        "invoice_date": "2026-10-30",
        "due_date": "2026-11-29",
        "currency": "EUR",
        "net_amount": 133.3,
        "tax_amount": 25.33,
        "total_amount": 158.63,
        "line_items": [{"description": "Copy paper A4, 80 g", "quantity": 10.0, "unit_price": 13.33, "amount": 133.3}],
        "problems": [],
    }


def test_a_german_invoice_is_read_too(run: Run) -> None:
    answer = run("extract-an-invoice", invoice=GERMAN_INVOICE, received_on="2026-11-05")
    assert (answer["supplier"], answer["supplier_tax_id"]) == ("Muster & Söhne KG", "DE 123456789")
    assert (answer["invoice_date"], answer["due_date"]) == ("2026-11-03", "2026-11-17")
    assert (answer["net_amount"], answer["tax_amount"], answer["total_amount"]) == (2499.0, 474.81, 2973.81)
    assert answer["line_items"] == [
        {"description": "Bohrmaschine", "quantity": 2.0, "unit_price": 1249.5, "amount": 2499.0}
    ]
    assert answer["problems"] == []


def test_what_an_invoice_does_not_say_is_null_and_named(run: Run) -> None:
    invoice = "Datura Hosting\nInvoice of 2026-11-01\n2 x Virtual server at 10.00   30.00\nTotal 30.00"
    answer = run("extract-an-invoice", invoice=invoice, received_on="2026-10-20", currency="CHF")
    missing = ("supplier_tax_id", "invoice_number", "due_date", "net_amount", "tax_amount")
    assert [answer[name] for name in missing] == [None] * 5
    assert answer["currency"] == "CHF"
    assert answer["problems"] == [
        "No currency is named; CHF was assumed as asked.",
        "The supplier's tax id is missing.",
        "The invoice number is missing.",
        "The net amount is missing.",
        "The tax amount is missing.",
        "“Virtual server”: 2 × 10.00 is 20.00, not 30.00.",
        "The invoice is dated 2026-11-01, after it was received on 2026-10-20.",
    ]


def test_a_reminder_is_no_invoice(run: Run) -> None:
    text = "Atelier Moreau SARL\nFIRST REMINDER\nOur invoice 4711 of 2026-11-03 over 158.63 EUR is open. Pay in 7 days."
    answer = run("extract-an-invoice", invoice=text, received_on="2026-12-03")
    assert answer["is_invoice"] is False
    assert (answer["invoice_number"], answer["total_amount"], answer["due_date"]) == ("4711", 158.63, None)
    assert answer["line_items"] == []
    assert answer["problems"] == ["This is a first reminder and not an invoice."]


def test_feedback_is_sorted_comment_by_comment(run: Run) -> None:
    answer = run("sort-feedback", feedback=FEEDBACK, categories="Delivery, Quality, Other")
    found = [(one["number"], one["category"], one["mood"], one["urgent"]) for one in answer["comments"]]
    assert found == [
        (1, "Delivery", "mixed", False),
        (2, "Delivery", "positive", False),
        (3, "Quality", "negative", True),
        (4, "Other", "neutral", False),
    ]
    assert answer["themes"] == [{"theme": "Delivery", "count": 2, "quote": FEEDBACK.splitlines()[0]}]


def test_themes_go_without_quotes_and_stay_away_as_asked(run: Run) -> None:
    assert run("sort-feedback", feedback=FEEDBACK, quotes="no")["themes"][0]["quote"] == ""
    assert run("sort-feedback", feedback=FEEDBACK, themes="0")["themes"] == []


def test_an_enum_is_chosen_for_each_comment_by_what_it_says() -> None:
    item = {
        "type": "object",
        "properties": {
            "sentiment": {"enum": ["positive", "negative", "neutral"]},
            "topic": {"enum": ["shipping", "website", "other"]},
            "priority": {"enum": ["low", "medium", "high"]},
        },
    }
    text = "Sort by topic.\n\n<reviews>\nMy parcel never came\nThe checkout page is nice\nHm\n</reviews>"
    assert [tuple(one.values()) for one in answer_schema({"type": "array", "items": item}, text)] == [
        ("negative", "shipping", "medium"),
        ("positive", "website", "low"),
        ("neutral", "other", "low"),
    ]


def test_code_is_walked_through_line_by_line(run: Run) -> None:
    code = "def chunks(rows):\n    for row in rows:\n        yield row"
    answer = run("explain-code", code=code, question="Why is there a yield?")
    assert "“Why is there a yield?” It is about line 3, `yield row`" in answer
    assert "The function `chunks` takes `rows`" in answer
    assert "2. `for row in rows:` — goes through `rows`, one `row` after the other." in answer
    assert answer.count("`yield row` — ") == 1
    assert "### Worth knowing" in answer
    assert "### Improvements" not in answer


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("SELECT a FROM t LEFT JOIN u ON 1\nWHERE u.b = 1", "Move that condition into `ON`."),
        ("#!/bin/bash\nrm $f", "Print what would go before deleting it."),
        ('=IFERROR(MATCH(A2, B:B), "–")', "Use `IFNA`: it catches only what is not found."),
    ],
)
def test_improvements_are_suggested_where_asked(run: Run, code: str, expected: str) -> None:
    assert expected in run("explain-code", code=code, question="", improve="yes").split("### Improvements")[1]


def test_what_is_no_code_is_said_to_be_none(run: Run) -> None:
    assert "does not look like code" in run("explain-code", code="Hello there", question="")


@pytest.mark.parametrize(
    ("text", "material", "instructions"),
    [
        ("Do:\n<a>\nshort\n</a>\nand\n<b>\nfar longer\n</b>\nso.", "far longer", "Do:\n\nand\n\nso."),
        ("<a>\none\n</a>\n<a>\ntwo\n</a>", "one\n\ntwo", ""),
        ("<a>\n<b>\ninner\n</b>\n</a>\nDo.", "<b>\ninner\n</b>", "Do."),
        ("<a>\n\n</a>\nDo.", "", "Do."),
    ],
)
def test_the_longest_block_is_the_material(text: str, material: str, instructions: str) -> None:
    brief = read_brief(text)
    assert (brief.material, brief.instructions) == (material, instructions)


@pytest.mark.parametrize(
    ("text", "material"),
    [
        ("Summarise this text in a short form:\n\nThe mill is closed.", "The mill is closed."),
        ("Translate to Polish: Good morning, all.", "Good morning, all."),
        ("Translate the following into Italian.\n\nGood morning.", "Good morning."),
        ("Please sum this up\nThe mill is closed.", "The mill is closed."),
        ("The mill is closed. It opens in May.", "The mill is closed. It opens in May."),
        ("Is <b> bold?\n<b>\nor not", "Is <b> bold?\n<b>\nor not"),
    ],
)
def test_without_tags_the_material_follows_the_instruction(text: str, material: str) -> None:
    assert tagged_brief(text) is None
    assert read_brief(text).material == material


def test_a_short_summary_does_not_echo_its_instruction(ask: Any) -> None:
    answer = text_of(ask("Summarise this text in a short form:\n\nThe mill is closed. It opens in May."))
    assert answer == "**Summary**\n\n- The mill is closed.\n- It opens in May."


def test_nothing_between_the_tags_is_said_to_be_nothing(run: Run) -> None:
    assert "nothing between the tags" in run("translate", text="")


@pytest.mark.parametrize("piece", ["<a>\n", "Total ", "1 x ", "due 2026-01-01 ", "a. ", "T. ", "'", "=(  "])
def test_monstrous_material_is_answered_in_a_moment(run: Run, piece: str) -> None:
    began = time.monotonic()
    for slug, name in (("extract-an-invoice", "invoice"), ("summarise-a-document", "document"), ("translate", "text")):
        run(slug, **{name: piece * (100_000 // len(piece))})
    assert time.monotonic() - began < 10


def test_documents_of_a_request_count_as_its_text() -> None:
    source = {"type": "text", "media_type": "text/plain", "data": "<a>\nhello\n</a>"}
    params = {"messages": [{"role": "user", "content": [{"type": "document", "source": source}]}]}
    assert read_brief(user_text(params)).material == "hello"
