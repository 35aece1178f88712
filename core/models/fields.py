"""How is money stored so that sums are exact in every database?"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.expressions import Expression

PLACES = 10
SCALE = 10**PLACES
SMALLEST = Decimal(1).scaleb(-PLACES)

if TYPE_CHECKING:
    _MoneyBase = models.BigIntegerField[Decimal | int | str | None, Decimal | None]
else:
    _MoneyBase = models.BigIntegerField


class MoneyField(_MoneyBase):
    """An amount of USD with ten decimal places, kept as a whole number of 0.0000000001 USD.

    SQLite keeps a DecimalField as a binary float and sums it as one; whole numbers are exact everywhere, and 64 bits
    reach beyond 900 million USD. In Python the value is always a `Decimal`; one with more than ten places is refused,
    so that rounding happens where the amount is computed and nowhere else.
    """

    description = "USD with ten decimal places"

    def from_db_value(
        self,
        value: int | None,
        expression: Expression,  # noqa: ARG002 - Django's signature
        connection: BaseDatabaseWrapper,  # noqa: ARG002 - Django's signature
    ) -> Decimal | None:
        return None if value is None else Decimal(int(value)).scaleb(-PLACES)

    def to_python(self, value: Any) -> Decimal | None:
        if value is None or isinstance(value, Decimal):
            return value
        try:
            return Decimal(str(value))
        except ArithmeticError as error:
            raise ValidationError("Enter an amount such as 12.50.") from error

    def get_prep_value(self, value: Any) -> Any:
        if value is None or isinstance(value, Expression):
            return value
        scaled = Decimal(value) * SCALE
        if scaled != scaled.to_integral_value():
            raise ValueError(f"{value} USD has more than {PLACES} decimal places")
        return int(scaled)

    def formfield(self, **kwargs: Any) -> forms.Field | None:
        return models.Field.formfield(
            self, **{"form_class": forms.DecimalField, "decimal_places": PLACES, "max_digits": 19, **kwargs}
        )


if TYPE_CHECKING:

    class KnownMoneyField(models.BigIntegerField[Decimal | int | str, Decimal]):
        """A `MoneyField` that is never NULL, for the type checker."""

else:
    KnownMoneyField = MoneyField
