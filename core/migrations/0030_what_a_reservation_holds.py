"""A reservation says what it holds and what it spent, so that a window's sums can be checked and explained."""

from django.db import migrations

import core.models.fields


class Migration(migrations.Migration):
    dependencies = [("core", "0021_guard_the_ledger")]

    operations = [
        migrations.AddField("reservation", "held", core.models.fields.MoneyField(default=0)),
        migrations.AddField("reservation", "spent", core.models.fields.MoneyField(default=0)),
    ]
