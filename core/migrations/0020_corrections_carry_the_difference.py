"""A correction is a record of its own: it has no request id of its own either, and its difference may be negative."""

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("core", "0003_fill_money")]

    operations = [
        migrations.RemoveConstraint("costrecord", "one_record_without_request_id_per_attempt"),
        migrations.RemoveConstraint("costrecord", "amount_not_negative"),
        migrations.AddConstraint(
            "costrecord",
            models.UniqueConstraint(
                fields=["call", "attempt", "purpose"],
                condition=Q(request_id="", corrects=None),
                name="one_record_without_request_id_per_attempt",
            ),
        ),
        migrations.AddConstraint(
            "costrecord",
            models.CheckConstraint(
                condition=Q(amount__isnull=True) | Q(amount__gte=0) | Q(corrects__isnull=False),
                name="amount_not_negative",
            ),
        ),
        migrations.AddConstraint(
            "costrecord",
            models.CheckConstraint(
                condition=Q(source="settled") | Q(corrects__isnull=False),
                name="what_is_not_settled_corrects_something",
            ),
        ),
        migrations.AddConstraint(
            "costrecord",
            models.CheckConstraint(
                condition=~Q(source="by_hand") | (~Q(note="") & Q(entered_by__isnull=False)),
                name="what_is_entered_by_hand_says_by_whom_and_why",
            ),
        ),
    ]
