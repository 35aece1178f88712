"""Rows from before: their prices were in force, and their costs count for the day they came on."""

from django.db import migrations
from django.utils import timezone


def fill(apps, schema_editor):
    price = apps.get_model("core", "Price")
    price.objects.filter(approved_at=None).update(approved_at=timezone.now())
    record = apps.get_model("core", "CostRecord")
    pending = apps.get_model("core", "PendingRollup")
    for row in record.objects.only("pk", "at").iterator():
        record.objects.filter(pk=row.pk).update(booked_on=timezone.localdate(row.at))
        pending.objects.create(record_id=row.pk)


class Migration(migrations.Migration):
    dependencies = [("core", "0002_money")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
