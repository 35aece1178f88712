"""From here on the database itself refuses to change or delete an approved price."""

from django.db import migrations

from core.models import guard


class Migration(migrations.Migration):
    dependencies = [("core", "0055_keep_answers")]

    operations = [migrations.RunPython(guard.install, migrations.RunPython.noop)]
