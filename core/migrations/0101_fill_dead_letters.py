"""What was given up in the queue before there was a list of it, and that nobody has run again."""

from django.db import migrations
from django.db.models import Exists, F, OuterRef


def fill(apps, schema_editor):
    call = apps.get_model("core", "Call")
    again = call.objects.filter(again_of=OuterRef("pk"))
    dead = call.objects.filter(status="dead", lane="queue", demo=False).exclude(Exists(again))
    dead.update(dead_since=F("finished_at"))


class Migration(migrations.Migration):
    dependencies = [("core", "0100_dead_letters_and_housekeeping")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
