"""Tables in: CSV, TSV, JSON lines and Parquet, plain or gzipped, streamed in bounded memory.

What cannot be a row goes to `set_aside` with its line and a reason; what cannot be a table is a
DataError. A further format is one module here and one line in `kgrec.data.tables.table`.
"""

from kgrec.data.tables.files import Fingerprint, Row, SetAside, TableFormat, fingerprint
from kgrec.data.tables.table import Table, open_table

__all__ = [
    "Fingerprint",
    "Row",
    "SetAside",
    "Table",
    "TableFormat",
    "fingerprint",
    "open_table",
]
