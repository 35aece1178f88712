"""What came back from the prompts whose answers are data? See `core.demo.examples` for the blanks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Example:
    """One use of a prompt: what was put into it and what Claude answered."""

    inputs: dict[str, str]
    answer: str


def _as_json(value: dict[str, Any]) -> str:
    """JSON in which blanks that stand for numbers have lost their quotation marks."""
    return json.dumps(value, ensure_ascii=False).replace('"#', "").replace('#"', "")


_INVOICE_FIELDS: dict[str, Any] = {
    "is_invoice": True,
    "supplier": "{{supplier}}",
    "supplier_tax_id": "DE{{order}}",
    "invoice_number": "{{order}}",
    "invoice_date": "{{day}}",
    "due_date": "{{day_due}}",
    "currency": "EUR",
    "net_amount": "#{{net}}#",
    "tax_amount": "#{{tax}}#",
    "total_amount": "#{{gross}}#",
    "line_items": [
        {"description": "{{goods}}", "quantity": "#{{count}}#", "unit_price": "#{{price}}#", "amount": "#{{net}}#"}
    ],
    "problems": [],
}

INVOICES = (
    Example(
        {
            "invoice": """\
{{supplier}}
Tax id DE{{order}}

INVOICE {{order}}          {{day}}

{{count}} x {{goods}}   at {{price}}      {{net}} EUR
VAT 19 %                                  {{tax}} EUR
To be paid                                {{gross}} EUR

30 days net""",
            "received_on": "{{day}}",
        },
        _as_json(_INVOICE_FIELDS),
    ),
    Example(
        {
            "invoice": """\
{{supplier}} · Invoice no. {{order}} · {{day}} · payable within 30 days

{{goods}}, {{count}} pcs., {{price}} each: {{net}}
VAT {{tax}}
TOTAL {{gross}}""",
            "received_on": "{{day}}",
        },
        _as_json(
            _INVOICE_FIELDS
            | {
                "supplier_tax_id": None,
                "problems": [
                    "No currency is named; EUR was assumed as asked.",
                    "The supplier's tax id is missing.",
                ],
            }
        ),
    ),
    Example(
        {
            "invoice": """\
{{supplier}}
FIRST REMINDER
Our invoice {{order}} of {{day}} over {{gross}} EUR has not been paid. Please see to it within 7 days.""",
            "received_on": "{{day_due}}",
            "check_lines": "no",
        },
        _as_json(
            _INVOICE_FIELDS
            | {
                "is_invoice": False,
                "supplier_tax_id": None,
                "due_date": None,
                "net_amount": None,
                "tax_amount": None,
                "line_items": [],
                "problems": ["This is a first reminder and not an invoice."],
            }
        ),
    ),
)


def _comment(number: int, category: str, mood: str, gist: str, *, urgent: bool = False) -> dict[str, Any]:
    return {"number": number, "category": category, "mood": mood, "urgent": urgent, "gist": gist}


FEEDBACK = (
    Example(
        {
            "feedback": """\
The {{item}} is lovely, but it took two weeks to get to {{city}}
Fast delivery, thank you!
Delivered to the neighbour again, without a note
Second time I was charged twice. Please call me TODAY, order {{order}}
fine
Great colours, feels sturdy""",
        },
        _as_json(
            {
                "comments": [
                    _comment(1, "Delivery", "mixed", "Likes the article, delivery took two weeks"),
                    _comment(2, "Delivery", "positive", "Fast delivery"),
                    _comment(3, "Delivery", "negative", "Left with the neighbour without a note, again"),
                    _comment(4, "Price", "negative", "Charged twice for the second time, wants a call", urgent=True),
                    _comment(5, "Other", "neutral", "Content, no details"),
                    _comment(6, "Quality", "positive", "Likes colours and sturdiness"),
                ],
                "themes": [
                    {"theme": "Delivery time and place", "count": 3, "quote": "Fast delivery, thank you!"},
                    {"theme": "Pleased with the article", "count": 2, "quote": "Great colours, feels sturdy"},
                ],
            }
        ),
    ),
    Example(
        {
            "feedback": """\
I could not find the size chart on my phone
Checkout asked for my address three times
El envío a {{city}} es demasiado caro
Your colleague {{lead}} was very patient with me""",
            "quotes": "no",
            "themes": "2",
        },
        _as_json(
            {
                "comments": [
                    _comment(1, "Website", "negative", "Size chart not found on a phone"),
                    _comment(2, "Website", "negative", "Address asked for three times at checkout"),
                    _comment(3, "Price", "negative", "Delivery is too dear"),
                    _comment(4, "Service", "positive", "Praises a colleague's patience"),
                ],
                "themes": [{"theme": "Website is awkward to use", "count": 2, "quote": ""}],
            }
        ),
    ),
    Example(
        {
            "feedback": """\
Great, another {{item}} that lasts exactly one month longer than its guarantee
The {{item}} started to smoke when I plugged it in
Good value for money""",
        },
        _as_json(
            {
                "comments": [
                    _comment(1, "Quality", "negative", "Ironic: broke just after the guarantee"),
                    _comment(2, "Quality", "negative", "Started to smoke when plugged in", urgent=True),
                    _comment(3, "Price", "positive", "Good value for money"),
                ],
                "themes": [
                    {
                        "theme": "Article fails early",
                        "count": 2,
                        "quote": "The {{item}} started to smoke when I plugged it in",
                    }
                ],
            }
        ),
    ),
)
