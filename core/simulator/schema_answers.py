"""Which JSON answers this schema, with values drawn from the text?"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from core.simulator import feedback, invoices
from core.simulator.dates import find_dates, without_dates
from core.simulator.reading import Brief, labelled, sentences, subject, tagged_brief

Schema = Mapping[str, Any]
NUMBER = re.compile(r"(?<![\w.])-?\d{1,3}(?:[,']\d{3})+(?:\.\d+)?|(?<![\w.-])-?\d+(?:\.\d+)?(?![\w-])")
EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
URL = re.compile(r"https?://[^\s)\"'>]+")
DEGREES = {
    **dict.fromkeys(("trivial", "simple", "easy", "low", "small", "short"), 0),
    **dict.fromkeys(("medium", "moderate", "normal", "standard", "average"), 1),
    **dict.fromkeys(("complex", "hard", "difficult", "high", "large", "long"), 2),
    **dict.fromkeys(("expert", "very_high", "critical", "very hard", "extreme"), 3),
}  # words of a scale, as classifiers use them
MAX_DEPTH = 8
LONGEST_MATERIAL = 20_000  # characters; what comes later is not read
MOST_ITEMS = 200  # of an array whose items are the lines between tags
USUAL_DATE = "2026-11-02"  # where a date has to be there and none is named
LONGEST_NUMBER = 15  # characters; what is longer is no amount


@dataclass(frozen=True)
class _Source:
    """The brief that values are drawn from, and the root schema that `$ref`s point into.

    `known` are the values of properties that are settled already, such as those of one line of an invoice.
    """

    brief: Brief
    root: Schema
    known: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return self.brief.material

    @property
    def tagged(self) -> bool:
        """Whether the text is surely the material; then what is not in it is missing, and no guess is made."""
        return bool(self.brief.blocks)

    def part(self, text: str, known: Mapping[str, Any] | None = None) -> _Source:
        return replace(self, brief=replace(self.brief, material=text), known=known or {})


def answer_schema(schema: Schema, text: str) -> Any:
    """A value valid for the schema; the same for the same text."""
    brief = tagged_brief(text) or Brief(text)
    return _value(schema, "", _Source(replace(brief, material=brief.material[:LONGEST_MATERIAL]), schema), 0)


def stable_number(text: str, size: int) -> int:
    """A number in range(size) that depends on the text alone."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:6], "big") % size


def _value(schema: Any, name: str, source: _Source, depth: int) -> Any:
    schema = _resolved(schema, source.root) if isinstance(schema, Mapping) else {}
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return _choose(schema["enum"], name, source)
    options = schema.get("anyOf") or schema.get("oneOf")
    if options or schema.get("allOf"):
        inner = _preferred(options, depth) if options else _merged(schema, source.root)
        return None if _is_missing(schema, inner, name, source) else _value(inner, name, source, depth + 1)
    return None if _is_missing(schema, schema, name, source) else _made(schema, name, source, depth)


def _made(schema: Schema, name: str, source: _Source, depth: int) -> Any:
    maker = MAKERS.get(_type_of(schema))
    return maker(schema, name, source, depth) if maker else None


def _is_missing(outer: Schema, inner: Schema, name: str, source: _Source) -> bool:
    """Whether null is allowed and right: the material is between tags and does not have this value."""
    kind = _type_of(_resolved(inner, source.root))
    if not source.tagged or not _may_be_null(outer) or "enum" in inner or "const" in inner:
        return False
    if kind == "string":
        return not _found_string(_resolved(inner, source.root), name, source)
    return kind in ("number", "integer") and _found_number(name, source) is None


def _may_be_null(schema: Schema) -> bool:
    options = schema.get("anyOf") or schema.get("oneOf") or ()
    return any(option.get("type") == "null" for option in options) or "null" in (schema.get("type") or ())


def _resolved(schema: Schema, root: Schema) -> Schema:
    for _ in range(MAX_DEPTH):
        reference = schema.get("$ref")
        if not isinstance(reference, str) or not reference.startswith("#"):
            break
        found: Any = root
        for part in reference.removeprefix("#").strip("/").split("/"):
            found = found.get(part, {}) if part and isinstance(found, Mapping) else found
        schema = found
    return schema


def _preferred(options: Sequence[Schema], depth: int) -> Schema:
    """The first option that is not null; deep inside a recursive schema the last one, which ends it."""
    if depth > MAX_DEPTH:
        return options[-1]
    return next((option for option in options if option.get("type") != "null"), options[0])


def _merged(schema: Schema, root: Schema) -> Schema:
    merged: dict[str, Any] = {key: value for key, value in schema.items() if key != "allOf"}
    for part in schema["allOf"]:
        found = _resolved(part, root)
        merged = {
            **found,
            **merged,
            "properties": {**found.get("properties", {}), **merged.get("properties", {})},
            "required": [*found.get("required", []), *merged.get("required", [])],
        }
    return merged


def _type_of(schema: Schema) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        return next((str(item) for item in kind if item != "null"), "null")
    if kind is None and "properties" in schema:
        return "object"
    return str(kind or "string")


def _choose(options: Sequence[Any], name: str, source: _Source) -> Any:
    """A degree by the text's size; a mood; else the option most of whose words stand in the text, or a sure guess."""
    text = source.text
    degrees = {degree: option for option in options if (degree := DEGREES.get(str(option).lower())) is not None}
    if len(degrees) == len(options):
        return degrees[min(degrees, key=lambda degree: abs(degree - _degree(name, text)))]
    moods = {str(option).lower(): option for option in options}
    if {"positive", "negative"} <= moods.keys():
        found = feedback.mood(text)
        return moods.get(found, moods["negative"] if found == "mixed" else moods.get("neutral", moods["positive"]))
    names = [str(option) for option in options]
    chosen = feedback.closest(names, text) or (feedback.fallback(names) if source.tagged else None)
    return options[names.index(chosen) if chosen else stable_number(f"{name}|{text}", len(options))]


def _degree(name: str, text: str) -> int:
    """0 to 3: how urgent a comment is where that is the question, else how hard the text."""
    if re.search(r"urgen|priorit|severity", name.lower()):
        return 2 if feedback.is_urgent(text) else int(feedback.mood(text) in ("negative", "mixed"))
    return _difficulty(text)


def _difficulty(text: str) -> int:
    """0 to 3: long texts and code are hard, and so is what asks for thought."""
    asks = re.search(r"\b(analy|compar|why|prove|strateg|design|architect|evaluat|legal|contract)", text.lower())
    return min(3, (len(text) > 400) + (len(text) > 2500) + bool(asks) + ("```" in text))


def _object(schema: Schema, _name: str, source: _Source, depth: int) -> dict[str, Any]:
    properties: Schema = schema.get("properties") or {}
    required = schema.get("required") or []
    wanted = properties if depth < MAX_DEPTH else [name for name in properties if name in required]
    result = {name: _value(properties[name], name, source, depth + 1) for name in wanted}
    for name in required:
        result.setdefault(name, subject(source.text))
    return result


def _array(schema: Schema, name: str, source: _Source, depth: int) -> list[Any]:
    items = schema.get("items") or {"type": "string"}
    least, most = int(schema.get("minItems", 0)), int(schema.get("maxItems", MOST_ITEMS))
    if depth >= MAX_DEPTH:
        return [_value(items, name, source, depth + 1) for _ in range(least)]
    if source.tagged and _is_list_of_problems(name, items, source):
        return invoices.problems(source.brief)[:most]
    parts = _known_parts(items, source) if source.tagged else None
    if parts is None:
        parts = [source.part(part) for part in _parts(source.text)[: max(least, min(3, most))]]
        parts = parts or ([] if source.tagged else [source])
    parts += [source] * (least - len(parts))
    return [_value(items, name, part, depth + 1) for part in parts[: max(least, most)]]


def _is_list_of_problems(name: str, items: Schema, source: _Source) -> bool:
    whole = f"{' '.join(source.brief.blocks)}\n{source.brief.instructions}\n{source.text}"
    words = r"problem|issue|warning|anomal|remark"
    return bool(re.search(words, name.lower()) and _type_of(items) == "string" and invoices.INVOICE.search(whole))


def _known_parts(items: Schema, source: _Source) -> list[_Source] | None:
    """One source for each line of an invoice, each theme, or each line between the tags; None for other arrays."""
    names = list(_resolved(items, source.root).get("properties") or {})
    fields = {name: field for name in names if (field := _first_fit(ITEM_FIELDS, name))}
    if "description" in fields.values() and "amount" in fields.values():
        lines = [vars(line) for line in invoices.line_items(source.text)]
        return [source.part(line["description"], {name: line[fields[name]] for name in fields}) for line in lines]
    if re.search(r"\b(?:theme|topic)\b", " ".join(names)) and "count" in names:
        found = feedback.themes(source.brief)
        key = "theme" if "theme" in names else "topic"
        return [source.part(str(one["quote"]), {**one, key: one["theme"]}) for one in found]
    if names:
        parts = enumerate(feedback.comments(source.text)[:MOST_ITEMS], 1)
        return [source.part(text, dict.fromkeys(PLACES, place)) for place, text in parts]
    return None


def _parts(text: str) -> list[str]:
    """List items or lines if there are several, else sentences."""
    lines = [line.strip(" -*•\t") for line in text.splitlines() if line.strip(" -*•\t")]
    listed = [line.strip(" -*•\t") for line in text.splitlines() if re.match(r"\s*(?:[-*•]|\d+[.)])\s", line)]
    return listed or (lines if len(lines) > 1 else sentences(text)) or [text]


def _number(schema: Schema, name: str, source: _Source, _depth: int) -> float:
    found = _found_number(name, source)
    if found is None and source.tagged and _first_fit(MONEY, name):
        found = 0.0
    if found is None:
        low = schema.get("minimum", 0)
        found = low + stable_number(name + source.text, 100) / (100 if _is_share(name) else 1)
    return _clamped(schema, found / 100 if _is_share(name) and 1 < found <= 100 else found)


def _integer(schema: Schema, name: str, source: _Source, _depth: int) -> int:
    found = _found_number(name, source)
    value = int(found) if found is not None else 1 + stable_number(name + source.text, 9)
    return int(_clamped(schema, value))


def _boolean(_schema: Schema, name: str, source: _Source, _depth: int) -> bool:
    words = _spaced(name)
    if "urgent" in words:
        return feedback.is_urgent(source.text)
    if words == "is invoice":
        return invoices.is_invoice(source.text)
    return bool(stable_number(name + source.text, 2))


def _is_share(name: str) -> bool:
    return any(word in name.lower() for word in ("confidence", "probability", "score", "share"))


def _clamped(schema: Schema, value: float) -> float:
    value = max(value, schema.get("minimum", value))
    return float(min(value, schema.get("maximum", value)))


def _found_number(name: str, source: _Source) -> float | None:
    """A value known before, an amount of an invoice, the number after the property's name, or a number at all."""
    if name in source.known:
        found = source.known[name]
        return float(found) if isinstance(found, int | float) else None
    kind = _first_fit(MONEY, name) if source.tagged else ""
    if kind:
        return invoices.amount(kind, source.text)
    return _named_number(name, source.text, guess=not source.tagged)


def _named_number(name: str, text: str, *, guess: bool) -> float | None:
    """The number after the property's name in the text; as a guess, for an amount the largest, else the first."""
    words = _spaced(name)
    after = re.search(rf"\b{re.escape(words)}\b[^\d\n-]{{0,25}}({NUMBER.pattern})", text.lower()) if words else None
    if after and len(after.group(1)) <= LONGEST_NUMBER:
        return _to_float(after.group(1))
    numbers = [_to_float(match) for match in NUMBER.findall(without_dates(text)) if len(match) <= LONGEST_NUMBER]
    if not numbers or _is_share(name) or not guess:
        return None
    return max(numbers) if any(word in words for word in ("total", "amount", "price", "sum")) else numbers[0]


def _to_float(text: str) -> float:
    return float(re.sub(r"[,']", "", text))


def _string(schema: Schema, name: str, source: _Source, _depth: int) -> str:
    found = _found_string(schema, name, source)
    if found or name in source.known:
        return found
    if schema.get("format") in FORMATS:
        return FORMATS[schema["format"]](source.text)
    if source.tagged and _fact_of(name):
        return _bounded(schema, "")
    return _bounded(schema, subject(source.text) or name.lower() or "text")


def _found_string(schema: Schema, name: str, source: _Source) -> str:
    """What the text says under this name, or nothing."""
    if name in source.known:
        return str(source.known[name] or "")
    if schema.get("format") in ("date", "date-time"):
        day = invoices.due_date(source.text) if "due" in name.lower() else invoices.invoice_date(source.text)
        return (f"{day}T09:00:00Z" if schema["format"] == "date-time" else str(day)) if day else ""
    if schema.get("format") in FORMATS:
        exact = FINDERS_BY_FORMAT.get(schema["format"])
        return exact(source.text) if exact else ""
    finder = _fact_of(name)
    found = finder(source.brief) if finder else ""
    return found or (labelled(source.text, re.escape(_spaced(name))) if name else "")


def _fact_of(name: str) -> Callable[[Brief], str] | None:
    return next((finder for pattern, finder in FACTS if re.search(pattern, _spaced(name))), None)


def _first_fit(table: Mapping[str, str], name: str) -> str:
    """The entry of the first pattern that fits a property's name, or nothing."""
    return next((entry for pattern, entry in table.items() if re.search(pattern, _spaced(name))), "")


def _spaced(name: str) -> str:
    """The words of a property's name: `dueDate` and `due_date` are `due date`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|_|-", " ", name).lower()


def _bounded(schema: Schema, text: str) -> str:
    text = text.ljust(int(schema.get("minLength", 0)), ".")
    return text[: int(schema.get("maxLength", len(text)))]


def _first(pattern: re.Pattern[str]) -> Callable[[str], str]:
    return lambda text: match.group(0) if (match := pattern.search(text)) else ""


def _date(text: str) -> str:
    return next((str(found) for _, found in find_dates(text)), USUAL_DATE)


def _day(found: date | None) -> str:
    return str(found) if found else ""


def _category(brief: Brief) -> str:
    """One of the categories that the prompt lists, unless the text names its own."""
    listed = feedback.listed_categories(brief.instructions)
    return labelled(brief.material, "category") or (feedback.categorised(listed, brief.material) if listed else "")


FORMATS: Mapping[str, Callable[[str], str]] = {
    "date": _date,
    "date-time": lambda text: f"{_date(text)}T09:00:00Z",
    "time": lambda _text: "09:00:00Z",
    "duration": lambda _text: "PT1H",
    "email": lambda text: _first(EMAIL)(text) or "someone@example.com",
    "uri": lambda text: _first(URL)(text) or "https://example.com/",
    "hostname": lambda _text: "example.com",
    "ipv4": lambda _text: "192.0.2.1",
    "ipv6": lambda _text: "2001:db8::1",
    "uuid": lambda text: f"00000000-0000-4000-8000-{stable_number(text, 16**12):012x}",
}
FINDERS_BY_FORMAT: Mapping[str, Callable[[str], str]] = {"email": _first(EMAIL), "uri": _first(URL)}
# Patterns of property names, spelled as words; the first that fits counts.
FACTS: Sequence[tuple[str, Callable[[Brief], str]]] = (
    (r"\b(?:tax|vat)\b.*\b(?:id|number|no|nr)\b", lambda brief: invoices.tax_id(brief.material)),
    (r"\border\b.*\b(?:id|number|no|nr)\b", lambda brief: invoices.number_after("order|bestellung", brief.material)),
    (
        r"\bcustomer\b.*\b(?:id|number|no|nr)\b",
        lambda brief: invoices.number_after("customer|kunden", brief.material),
    ),
    (r"\b(?:invoice|bill)\b.*\b(?:id|no|nr)\b|number", lambda brief: invoices.invoice_number(brief.material)),
    (r"\bdue\b", lambda brief: _day(invoices.due_date(brief.material))),
    (r"date", lambda brief: _day(invoices.invoice_date(brief.material))),
    (r"email|e mail", lambda brief: _first(EMAIL)(brief.material)),
    (r"\burl\b", lambda brief: _first(URL)(brief.material)),
    (r"currency", lambda brief: invoices.currency(brief.material) or invoices.assumed_currency(brief.instructions)),
    (r"vendor|supplier|seller|sender", lambda brief: invoices.supplier(brief.material)),
    (r"customer|buyer", lambda brief: invoices.customer(brief.material)),
    (r"categor", _category),
    (r"\bgist\b|headline", lambda brief: feedback.gist(brief.material)),
    (r"summary|reason|explanation", lambda brief: " ".join(sentences(brief.material)[:2])),
)
MONEY: Mapping[str, str] = {
    r"\b(?:net|subtotal|sub total)\b": "net",
    r"\b(?:tax|vat)\b": "tax",
    r"\b(?:total|gross|payable|amount due|amount)\b": "total",
}
ITEM_FIELDS: Mapping[str, str] = {
    r"quantity|\bqty\b|\bcount\b|pieces": "quantity",
    r"price|\brate\b": "unit_price",
    r"amount|total|\bsum\b": "amount",
    r"description|\bname\b|product|\bitem\b|article": "description",
}
PLACES = ("number", "index", "position", "place")
MAKERS: Mapping[str, Callable[[Schema, str, _Source, int], Any]] = {
    "object": _object,
    "array": _array,
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
}
