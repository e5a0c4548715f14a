"""Statistics as files: CSV, Parquet."""

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bridgectl.language import tr
from bridgectl.statistics.figures import ROWS, Figures
from protocol.errors import BridgeError

COLUMNS = (*ROWS, *Figures().as_dict())


def written(path: Path, write: Callable[[Path], object]) -> None:
    """Have the file written. Raises BridgeError."""
    try:
        write(path)
    except OSError as error:
        raise BridgeError(tr("{file}: cannot be written: {why}", file=path, why=error.strerror or error)) from None


def as_csv(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """RFC 4180, with a heading. Raises OSError."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, COLUMNS)
        table.writeheader()
        table.writerows(rows)


def as_parquet(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Raises BridgeError where the library is not installed, OSError."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise BridgeError(
            tr("--parquet needs pyarrow, which is not installed here: pip install 'dmz-bridge[parquet]'; or use --csv")
        ) from None
    schema = pyarrow.schema([(name, _type(pyarrow, name)) for name in COLUMNS])
    parquet.write_table(pyarrow.Table.from_pylist(list(rows), schema=schema), path)


def _type(pyarrow: Any, name: str) -> Any:
    if name in ROWS:
        return pyarrow.string()
    return pyarrow.float64() if name.endswith("_ms") else pyarrow.int64()
