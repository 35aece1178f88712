"""Excel files made by hand, for what no program writes; and a process that reads tables and says what it came to."""

from __future__ import annotations

import io
import resource
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path

from core.bulk.tables import BadTableError, open_table

WORKBOOK = '<workbook><sheets><sheet name="One" r:id="s1"/></sheets></workbook>'
# The whole of a table's parts without its rows, by their names.
PARTS = {
    "[Content_Types].xml": "<Types/>",
    "_rels/.rels": '<Relationships><Relationship Id="b" Type="x/officeDocument" Target="xl/book.xml"/></Relationships>',
    "xl/book.xml": WORKBOOK,
    "xl/_rels/book.xml.rels": (
        '<Relationships><Relationship Id="s1" Type="x/worksheet" Target="worksheets/one.xml"/>'
        '<Relationship Id="t" Type="x/sharedStrings" Target="/xl/worksheets/texts.xml"/>'
        '<Relationship Id="f" Type="x/styles" Target="looks.xml"/></Relationships>'
    ),
}
HEADING = '<row r="1"><c r="A1" t="str"><v>a</v></c><c r="B1" t="str"><v>b</v></c></row>'


def sheet(*rows: str) -> str:
    return f"<worksheet><sheetData>{HEADING}{''.join(rows)}</sheetData></worksheet>"


def package(one: str | bytes | Iterable[bytes], method: int = zipfile.ZIP_DEFLATED, **more: str | bytes) -> bytes:
    """An Excel file with this sheet; `more` are other parts by name, with an underscore for a slash or a dot."""
    names = {"book": "xl/book.xml", "texts": "xl/worksheets/texts.xml", "looks": "xl/looks.xml"}
    parts = {**PARTS, **{names.get(name, name): content for name, content in more.items()}}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method, compresslevel=1) as made:
        for name, content in parts.items():
            made.writestr(name, content)
        with made.open("xl/worksheets/one.xml", "w") as part:
            pieces = [one] if isinstance(one, str | bytes) else one
            for piece in pieces:
                part.write(piece.encode() if isinstance(piece, str) else piece)
    return file.getvalue()


def come_to(path: str) -> str:
    """What reading this file comes to: the sentence that refuses it, or how many rows and faults it has."""
    with Path(path).open("rb") as file:
        try:
            faults = [bool(line.fault) for line in open_table(file).lines]
        except BadTableError as error:
            return str(error)
        return f"{len(faults)} rows, {sum(faults)} with faults"


def peak() -> int:
    """Bytes of memory that this process has had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    before = peak()
    for each in sys.argv[1:]:
        sys.stdout.write(f"{come_to(each)}\t{peak() - before}\n")
