"""A person's own report reads their records by day, and each report looks for the corrections in its period."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("core", "0030_what_a_reservation_holds")]

    operations = [
        migrations.AddIndex("costrecord", models.Index(fields=["user", "booked_on"], name="cost_day_of_user")),
        migrations.AddIndex(
            "costrecord",
            models.Index(fields=["booked_on"], name="cost_correction_day", condition=models.Q(corrects__isnull=False)),
        ),
    ]
