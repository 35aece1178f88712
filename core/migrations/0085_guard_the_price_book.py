"""From here on the database itself refuses to change or delete an approved price."""

from django.db import migrations

from core.models import guard


class Migration(migrations.Migration):
    dependencies = [("core", "0060_limits_of_people")]

    operations = [migrations.RunPython(guard.install, migrations.RunPython.noop)]
