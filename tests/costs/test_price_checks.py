from __future__ import annotations

import datetime as dt
from dataclasses import replace
from decimal import Decimal as D
from typing import Any

import pytest

from core.costs.compute import Rates
from core.costs.price_checks import Figures, problems


def march(day: int) -> dt.date:
    return dt.date(2027, 3, day)


RATES = Rates(D(2), D(10), D("2.5"), D(4), D("0.1"), D(10))
LIST = Figures(False, "standard", dt.date(2023, 1, 1), None, 0, RATES)


def contract(first: int, last: int | None = None, **values: Any) -> Figures:
    """A contract price for some days of March 2027."""
    until = None if last is None else march(last)
    return replace(Figures(True, "standard", march(first), until, 0, RATES), **values)


def rated(**values: Any) -> Figures:
    return replace(LIST, valid_from=march(1), rates=replace(RATES, **values))


@pytest.mark.parametrize(
    ("new", "others"),
    [
        (LIST, []),
        # a newer list price takes over from the one before it
        (replace(LIST, valid_from=march(1)), [LIST]),
        # the same place: it replaces what stands there
        (contract(1, 9), [LIST, contract(1, 9)]),
        (contract(1, 3), [LIST, contract(1, 9)]),
        # one after the other, without a day between
        (contract(4, 9), [LIST, contract(1, 3), contract(10)]),
        # an open contract gives way to the next
        (contract(10), [LIST, contract(1)]),
        # another speed is another price
        (replace(contract(2, 5), speed="fast"), [LIST, contract(1, 9)]),
        # a band of the same entry
        (contract(1, 9, above_input_tokens=200_000), [LIST, contract(1, 9)]),
    ],
)
def test_a_price_that_fits_is_not_refused(new: Figures, others: list[Figures]) -> None:
    assert problems(new, others) == []


@pytest.mark.parametrize(
    ("new", "others"),
    [
        (contract(3, 5), [contract(1, 3)]),
        (contract(1, 3), [contract(3, 5)]),
        (contract(2, 3), [contract(1, 9)]),
        (contract(1, 9), [contract(2, 3)]),
        (contract(5), [contract(1, 9)]),
        (contract(1, 9), [contract(5)]),
    ],
)
def test_two_contract_prices_for_one_day_are_refused(new: Figures, others: list[Figures]) -> None:
    found = problems(new, [LIST, *others])

    assert [(problem.field, problem.may_be_meant) for problem in found] == [("valid_from", False)]
    assert "overlaps" in found[0].sentence


@pytest.mark.parametrize(("new", "others"), [(contract(10), [contract(1, 3)]), (contract(1, 3), [contract(10, 12)])])
def test_days_between_two_contracts_have_to_be_meant(new: Figures, others: list[Figures]) -> None:
    found = problems(new, [LIST, *others])

    assert [problem.may_be_meant for problem in found] == [True]
    assert found[0].sentence == (
        "The contract price ends on 3 March 2027, and the next begins on 10 March 2027: "
        "the list price would count on the days between."
    )


def test_days_without_any_list_price_are_refused() -> None:
    ending = replace(LIST, valid_until=march(3))

    assert [problem.may_be_meant for problem in problems(ending, [])] == [False]
    found = problems(replace(LIST, valid_from=march(10)), [ending])
    assert "which price on the days between?" in found[0].sentence
    assert not found[0].may_be_meant


def test_a_band_needs_the_price_for_short_inputs_and_its_end() -> None:
    band = contract(1, 9, above_input_tokens=200_000)

    assert [problem.field for problem in problems(band, [LIST])] == ["above_input_tokens"]
    assert [problem.field for problem in problems(band, [LIST, contract(1, 8)])] == ["valid_until"]


def test_a_price_does_not_end_before_it_begins() -> None:
    assert [problem.field for problem in problems(contract(9, 8), [LIST])] == ["valid_until"]


@pytest.mark.parametrize(
    ("values", "field", "may_be_meant"),
    [
        ({"input": None}, "input", False),
        ({"output": None}, "output", False),
        ({"input": D(0)}, "input", True),
        ({"cache_read": D(0)}, "cache_read", True),
        ({"batch_factor": D(0)}, "batch_factor", True),
        ({"us_factor": D(-1)}, "us_factor", False),
        # per token where one per million belongs
        ({"input": D("0.000002")}, "input", True),
        # exactly a thousand times off, either way
        ({"input": D("0.002")}, "input", True),
        ({"output": D(10_000)}, "output", True),
        ({"web_search": D("0.01")}, "web_search", True),
    ],
)
def test_what_cannot_be_or_is_a_thousand_times_off_is_refused(
    values: dict[str, Any], field: str, may_be_meant: bool
) -> None:
    found = problems(rated(**values), [LIST])

    assert [(problem.field, problem.may_be_meant) for problem in found] == [(field, may_be_meant)]


@pytest.mark.parametrize(
    "values", [{"input": D("0.0021")}, {"output": D(9_999)}, {"cache_read": None}, {"batch_factor": D("0.6")}]
)
def test_what_is_only_unusual_is_taken(values: dict[str, Any]) -> None:
    assert problems(rated(**values), [LIST]) == []


@pytest.mark.parametrize(
    "neighbour",
    [
        LIST,
        contract(1),
        replace(LIST, above_input_tokens=200_000),
        # what it replaces is its neighbour too
        replace(LIST, valid_from=march(1)),
    ],
)
def test_every_row_of_the_model_is_a_neighbour(neighbour: Figures) -> None:
    base = replace(LIST, rates=replace(RATES, input=D("0.000002")))
    rows = [neighbour] if neighbour.above_input_tokens == 0 else [neighbour, base]

    assert "input" in {problem.field for problem in problems(rated(input=D("0.000002")), rows)}
