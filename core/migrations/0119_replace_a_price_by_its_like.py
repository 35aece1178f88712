"""From here on an approved price is replaced by another of its place only; on PostgreSQL the guard is a function."""

from django.db import migrations

from core.models import guard


class Migration(migrations.Migration):
    dependencies = [("core", "0118_sizes_of_batch_rows")]

    operations = [migrations.RunPython(guard.install, migrations.RunPython.noop)]
