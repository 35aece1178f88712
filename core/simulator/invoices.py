"""What stands in an invoice: numbers, names, dates, amounts and lines, as a clerk would find them?

Nothing is worked out from other figures but the due date of a term such as "30 days net"; what is not there is None.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from core.simulator.dates import find_dates, without_dates
from core.simulator.reading import Brief, labelled

FURTHEST_AMOUNT = 120  # characters after its label
AMOUNT = re.compile(
    r"(?<![\w.,/-])-?(?:\d{1,3}(?:[,.'’\u00a0\u202f]\d{3})+|\d+)(?:[.,]\d{1,2})?"
    r"(?![\w%]|[.,/-]\d|\s*(?:%|days?\b|tagen?\b|pcs\b|pieces\b|x\s))",
    re.IGNORECASE,
)
LABELS: Mapping[str, re.Pattern[str]] = {
    "net": re.compile(
        r"\b(?:net(?:to)?(?: amount| total)?|sub-?\s?total|total net|zwischensumme|before (?:tax|vat)"
        r"|excl\w*\.? (?:tax|vat))\b",
        re.IGNORECASE,
    ),
    "tax": re.compile(
        r"(?<!before )(?<!excl )(?<!excl\. )(?<!incl )(?<!incl\. )(?<!including )"
        r"\b(?:vat|(?:sales )?tax|mwst|ust|umsatzsteuer|mehrwertsteuer|tva|gst)\b(?![ .-]*(?:id|no|nr|num|reg|ident))",
        re.IGNORECASE,
    ),
    "total": re.compile(
        r"(?<!sub)(?<!sub-)(?<!sub )(?<!net )\b(?:total(?! net)|gross|amount due|balance due|amount payable|to be paid"
        r"|to pay|gesamt\w*|zu zahlen|rechnungsbetrag|brutto|montant)\b",
        re.IGNORECASE,
    ),
}
OTHER_LABELS = re.compile(r"\b(?:invoice|rechnung|iban|bic|swift|phone|tel|fax|account|order|page)\b", re.IGNORECASE)
CURRENCY = re.compile(r"€|\$|£|¥|\b(?:EUR|USD|GBP|CHF|JPY|PLN|SEK|DKK|NOK|euros?)\b", re.IGNORECASE)
SIGNS = {"€": "EUR", "$": "USD", "£": "GBP", "¥": "JPY", "EURO": "EUR", "EUROS": "EUR"}
COMPANY = re.compile(
    r"\b[A-ZÀ-Þ][\w.-]*\s(?:[A-ZÀ-Þ&][\w&.-]*\s){0,3}(?:GmbH|AG|KG|UG|SE|Inc|Ltd|LLC|PLC|SA|SARL|SAS|Corp|B\.?V\.?|S\.?r\.?l\.?|Oy|AB)"
    r"(?![\w])\.?"
)
TAX_ID = re.compile(
    r"\b(?:tax|vat|ust|mwst|tva|gst)[ .-]*(?:payer )?(?:id(?:entification)?(?:[ .-]*(?:no|nr|number))?|no|nr|number"
    r"|reg\w*)\b[\s.:#]*([A-Z]{0,3}[ -]?\d[A-Z\d./-]{3,})",
    re.IGNORECASE,
)
BARE_TAX_ID = re.compile(r"\b(?:DE|AT ?U|FR|NL|PL|ES|IT|BE|DK|SE|GB|CHE)[ -]?\d[\d.]{7,12}(?:B\d{2})?\b")
NUMBER_AFTER = (
    r"\b(?:{})(?:[ .-]*(?:no|nr|number|nummer|num|id|ref))*[ \t.:#]*"
    r"((?=[\w/-]*\d)[A-Za-z0-9][\w/-]*)"
)
SERIAL = re.compile(r"\b(?:[A-Z]{1,5}[-/#]?\d{2,}[\w/-]*|#\d+)\b")
DUE = re.compile(
    r"\b(?:due(?: date)?(?: on| by)?|pay(?:able|ment)? (?:by|until|before|due)|no later than|until|fällig\w*"
    r"|zahlbar bis)\b",
    re.IGNORECASE,
)
DATED = re.compile(r"(?<!due )\b(?:invoice date|rechnungsdatum|date|datum|issued|dated)\b", re.IGNORECASE)
TERM = re.compile(r"\b(\d{1,3})\s*(?:days?|tagen?)\b|\bnet\s*(\d{1,3})\b", re.IGNORECASE)
NO_INVOICE = re.compile(
    r"\b(first reminder|second reminder|final reminder|payment reminder|reminder|quotation|quote|estimate|delivery note"
    r"|pro forma|order confirmation|mahnung|zahlungserinnerung|angebot|lieferschein)\b",
    re.IGNORECASE,
)
INVOICE = re.compile(r"\b(?:invoice|rechnung|facture|factura|bill)\w*", re.IGNORECASE)
QUANTITY = re.compile(
    r"(?<![\w.,])(\d+(?:[.,]\d+)?)\s*(?:x|×|pcs\b\.?|pieces\b|units?\b|hours?\b|hrs\b|stk\b\.?|stück\b)\s*",
    re.IGNORECASE,
)
POSITION = re.compile(r"^\s*(?:\d{1,3}[.)]\s+|\d{1,3}(?:\s{2,}|\t|\s*\|))(?=.*[^\W\d]{3})")
LEFT_OVER = re.compile(r"(?:\b(?:at|each|for|per|of|à|je)\b|[\s,:;|@=·–-])+$", re.IGNORECASE)


@dataclass(frozen=True)
class LineItem:
    """One line; amounts in the invoice's currency."""

    description: str
    quantity: float | None
    unit_price: float | None
    amount: float | None


def to_amount(text: str) -> float:
    """1,249.50 and 1.249,50 are the same."""
    plain = re.sub(r"['’\u00a0\u202f]", "", text)
    decimals = re.search(r"[.,](\d{1,2})$", plain)
    whole = plain[: decimals.start()] if decimals else plain
    return float(re.sub(r"[.,]", "", whole) + (f".{decimals.group(1)}" if decimals else ""))


def amount(kind: str, text: str) -> float | None:
    """The `net`, `tax` or `total` amount."""
    found = _labelled_amount(kind, text)
    if found is None and kind == "total":
        return max((to_amount(money) for money in _money(without_dates(text))), default=None)
    if found is None and kind == "net":
        return _net_between(text)
    return found


def currency(text: str) -> str:
    """The code of the first currency named, or nothing."""
    found = CURRENCY.search(text)
    return SIGNS.get(found.group(0).upper(), found.group(0).upper()) if found else ""


def assumed_currency(instructions: str) -> str:
    """The currency that the instructions name for a text without one."""
    found = re.search(r"\bcurrency\b[^.\n]*\buse ([A-Z]{3})\b", instructions)
    return found.group(1) if found else ""


def supplier(text: str) -> str:
    """Whoever sent it: labelled, a company by its legal form, or the head of the letter."""
    found = labelled(text, "from|vendor|supplier|seller")
    if found:
        return found
    company = COMPANY.search(text)
    if company:
        return company.group(0).strip()
    head = re.split(r"\s{2,}|\s[·|–]\s", text.strip().partition("\n")[0])[0].strip()
    looks_like_a_name = 0 < len(head.split()) <= 6 and head[:1].isupper() and not re.search(r"\d|[.!?:]$", head)
    letterhead = INVOICE.search(text) and looks_like_a_name and not INVOICE.search(head)
    return head if letterhead else labelled(text, "name")


def customer(text: str) -> str:
    return labelled(text, "customer|client|buyer|bill(?:ed)? to|to") or labelled(text, "from|name")


def tax_id(text: str) -> str:
    found = TAX_ID.search(text)
    if found:
        return found.group(1)
    bare = BARE_TAX_ID.search(text)
    return bare.group(0) if bare else ""


def invoice_number(text: str) -> str:
    return number_after("invoice|rechnungs?|facture", text) or serial(text)


def number_after(labels: str, text: str) -> str:
    """The number of an order, say: what follows one of the labels, a pattern, and has a digit."""
    found = re.search(NUMBER_AFTER.format(labels), without_dates(text), re.IGNORECASE)
    return found.group(1) if found else ""


def serial(text: str) -> str:
    """The first thing that looks like a number of something: INV-2031, #17."""
    found = SERIAL.search(text)
    return found.group(0) if found else ""


def invoice_date(text: str) -> date | None:
    dated = _date_after(DATED, text, within=15)
    due = _date_after(DUE, text, within=25)
    return dated or next((found for _, found in find_dates(text) if found != due), due)


def due_date(text: str) -> date | None:
    """The date after a word such as `due`, or an invoice's date and its term."""
    found = _date_after(DUE, text, within=25)
    issued, term = invoice_date(text), TERM.search(without_dates(text))
    if found or not issued or not term or NO_INVOICE.search(text):
        return found
    return issued + timedelta(days=int(term.group(1) or term.group(2)))


def is_invoice(text: str) -> bool:
    return bool(INVOICE.search(text)) and not NO_INVOICE.search(text)


def line_items(text: str) -> list[LineItem]:
    """The lines that name an article and an amount."""
    if NO_INVOICE.search(text):
        return []
    lines = [line for line in without_dates(text).splitlines() if not _has_label(line)]
    return [item for line in lines if (item := _line_item(line))]


def problems(brief: Brief) -> list[str]:
    """One sentence for each thing that a bookkeeper has to look at."""
    text = brief.material
    other = NO_INVOICE.search(text)
    if other:
        return [f"This is a {other.group(0).lower()} and not an invoice."]
    if not INVOICE.search(text) and amount("total", text) is None:
        return ["Nothing in it says that it is an invoice."]
    return [*_missing(brief), *_wrong_sums(brief), *_wrong_dates(brief)]


def _missing(brief: Brief) -> Iterator[str]:
    text = brief.material
    if not currency(text):
        assumed = assumed_currency(brief.instructions)
        yield f"No currency is named; {assumed} was assumed as asked." if assumed else "No currency is named."
    if not tax_id(text):
        yield "The supplier's tax id is missing."
    if not invoice_number(text):
        yield "The invoice number is missing."
    if not invoice_date(text):
        yield "The invoice date is missing."
    for kind in ("net", "tax", "total"):
        if amount(kind, text) is None:
            yield f"The {kind} amount is missing."


def _wrong_sums(brief: Brief) -> Iterator[str]:
    net, tax, total = (amount(kind, brief.material) for kind in ("net", "tax", "total"))
    if net is not None and tax is not None and total is not None and _differ(net + tax, total):
        yield f"Net {net:.2f} and tax {tax:.2f} give {net + tax:.2f}, not {total:.2f}."
    if re.search(r"\bcheck\b[^\n]*:\s*no\b", brief.instructions, re.IGNORECASE):
        return
    for item in line_items(brief.material):
        if item.quantity is None or item.unit_price is None or item.amount is None:
            continue
        product = item.quantity * item.unit_price
        if _differ(product, item.amount):
            sum_of_line = f"{item.quantity:g} × {item.unit_price:.2f} is {product:.2f}, not {item.amount:.2f}"
            yield f"“{item.description}”: {sum_of_line}."


def _wrong_dates(brief: Brief) -> Iterator[str]:
    received = _date_after(re.compile(r"\b(?:reached|received)\b", re.IGNORECASE), brief.instructions, within=25)
    issued, due = invoice_date(brief.material), due_date(brief.material)
    if received and issued and issued > received:
        yield f"The invoice is dated {issued}, after it was received on {received}."
    if received and due and due < received:
        yield f"It was due on {due}, before it was received on {received}."


def _differ(one: float, other: float) -> bool:
    return abs(one - other) >= 0.01 - 1e-9


def _labelled_amount(kind: str, text: str) -> float | None:
    """The amount after a label, on its line or alone on the next."""
    lines = without_dates(text).splitlines()
    for number, line in enumerate(lines):
        for label in LABELS[kind].finditer(line):
            rest = line[label.end() : label.end() + FURTHEST_AMOUNT]
            ends = [match.start() for pattern in LABELS.values() if (match := pattern.search(rest))]
            found = _best_amount(rest[: min(ends, default=len(rest))])
            following = lines[number + 1].strip() if number + 1 < len(lines) else ""
            if found is None and not rest.strip(" :.") and not re.search(r"[A-Za-z]{4}", following):
                found = _best_amount(following)
            if found is not None:
                return found
    return None


def _best_amount(text: str) -> float | None:
    """The first amount with decimals, else the last one."""
    found = AMOUNT.findall(text)
    exact = [money for money in found if re.search(r"[.,]\d{2}$", money)]
    return to_amount((exact or found[-1:])[0]) if found else None


def _net_between(text: str) -> float | None:
    """The amount of the text that makes up the total with the tax, where nothing calls it net."""
    tax, total = _labelled_amount("tax", text), _labelled_amount("total", text)
    if tax is None or total is None:
        return None
    found = [to_amount(money) for money in _money(without_dates(text))]
    return next((money for money in found if not _differ(money + tax, total)), None)


def _money(text: str) -> list[str]:
    """The figures that are sums of money: with two decimals, or beside a currency."""
    beside = CURRENCY.pattern
    return [
        match.group(0)
        for match in AMOUNT.finditer(text)
        if re.search(r"[.,]\d{2}$", match.group(0))
        or re.match(rf"\s?(?:{beside})", text[match.end() : match.end() + 6], re.IGNORECASE)
        or re.search(rf"(?:{beside})\s?$", text[max(0, match.start() - 6) : match.start()], re.IGNORECASE)
    ]


def _has_label(line: str) -> bool:
    return bool(OTHER_LABELS.search(line) or any(label.search(line) for label in LABELS.values()))


def _line_item(line: str) -> LineItem | None:
    money = _money(line)
    counted = QUANTITY.search(line)
    start = line.index(money[0]) if money else 0
    head = CURRENCY.sub("", POSITION.sub("", line[:start]))
    head = head.replace(counted.group(0), " ") if counted else head
    quantity = to_amount(counted.group(1)) if counted else None
    in_column = re.search(r"(?:\s{2,}|\t|\|)\s*(\d{1,6})[\s|]*$", head)
    if quantity is None and in_column:
        quantity, head = float(in_column.group(1)), head[: in_column.start()]
    description = LEFT_OVER.sub("", head).strip(" -*•|,:\t")
    if not money or not re.search(r"[^\W\d]{3}", description):
        return None
    first, last = to_amount(money[0]), to_amount(money[-1])
    one_price = len(money) == 1 and re.search(r"(?:\bat|@)\s*\S{0,4}$", line[:start])
    price = first if len(money) > 1 or one_price else None
    return LineItem(" ".join(description.split()), quantity, price, None if one_price else last)


def _date_after(label: re.Pattern[str], text: str, within: int) -> date | None:
    """The first date that begins at most so many characters after the label."""
    dates = find_dates(text)
    for match in label.finditer(text):
        for start, found in dates:
            if 0 <= start - match.end() <= within and "\n\n" not in text[match.end() : start]:
                return found
    return None
