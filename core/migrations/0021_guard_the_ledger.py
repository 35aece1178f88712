"""From here on the database itself refuses to change or delete a cost record."""

from django.db import migrations

from core.models import guard


class Migration(migrations.Migration):
    dependencies = [("core", "0020_corrections_carry_the_difference")]

    operations = [migrations.RunPython(guard.install_on_ledger, guard.remove)]
