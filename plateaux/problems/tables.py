"""Named columns of a CSV, NPZ or Parquet file, as NumPy arrays.

A reader returns columns as the file has them; `Table` turns one into floats or class
labels, or says what is in the way. Rows are counted from 1; a CSV header is not a row.
"""

import csv
import difflib
import os
import zipfile
import zlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

MISSING = {"", "na", "n/a", "nan", "null", "none"}


@dataclass(frozen=True)
class Table:
    """Columns of one file, all of K rows.

    Attributes:
        path: The file.
        columns: Name -> array with leading axis K, as the file has it.
    """

    path: Path
    columns: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def is_matrix(self, name: str) -> bool:
        """Whether this column is a 2-D array of an archive."""
        return self.columns[name].ndim == 2

    def floats(self, name: str) -> np.ndarray:
        """The column as float64, else a refusal that says which row is in the way.

        Integers, truth values and decimals are numbers too and are converted;
        missing entries (empty, NA, NaN, null) and infinite ones are refused.
        """
        column = self.columns[name]
        if column.dtype.kind in "iufb":
            values = column.astype(np.float64)
        else:
            entries = _as_floats(column)
            if None in entries:
                self._refuse_entry(name, "numeric", entries.index(None))
            values = np.array(entries, dtype=np.float64).reshape(column.shape)
        self._refuse_absent(name, ~np.isfinite(values), "missing, NaN or infinite")
        return values

    def labels(self, name: str) -> np.ndarray:
        """Class labels: whole numbers if all the column is numeric, else words."""
        column = self.columns[name]
        if column.ndim != 1:
            raise ValueError(
                f"Class labels must be one column, but {name!r} of {self.path} has "
                f"shape {column.shape}; for one-hot rows set `one_hot=False`."
            )
        missing = np.array([_is_missing(entry) for entry in column])
        self._refuse_absent(name, missing, "missing")
        entries = _as_floats(column)
        if None in entries:
            return np.array([str(entry) for entry in column])
        values = np.array(entries)
        fractions = np.flatnonzero(values != np.rint(values))
        if len(fractions):
            kind = "class labels, words or whole numbers"
            self._refuse_entry(name, kind, int(fractions[0]))
        return values

    def _refuse_entry(self, name: str, kind: str, place: int) -> NoReturn:
        column = self.columns[name]
        row = place // (column.size // len(column)) + 1
        entry = np.ravel(column)[place]
        entry = entry.item() if isinstance(entry, np.generic) else entry
        raise ValueError(
            f"Column {name!r} of {self.path} must be {kind}, but row {row} holds "
            f"{entry!r}."
        )

    def _refuse_absent(self, name: str, absent: np.ndarray, word: str) -> None:
        if not absent.any():
            return
        rows = np.flatnonzero(absent.reshape(len(absent), -1).any(axis=1))
        raise ValueError(
            f"Column {name!r} of {self.path} must be complete, but {absent.sum()} of "
            f"its {absent.size} entries are {word}, the first in row {rows[0] + 1}; "
            "remove or impute them first."
        )


def read_table(path: Any, wanted: Sequence[str]) -> Table:
    """The wanted columns of a file.

    Args:
        path: A .csv file with a header, a .npz archive, or a .parquet file.
        wanted: Names of columns (of arrays in an archive), without repetition.

    Returns:
        The table, at least one row.

    Raises:
        ImportError: If a Parquet file comes and pyarrow is not installed.
        OSError: If the file does not exist or cannot be opened.
        ValueError: If it cannot be read, is empty, lacks a column, or its columns
            differ in length.
    """
    path = checked_path(path)
    columns = READERS[path.suffix.lower()](path, wanted)
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name!r} has {K}" for name, K in lengths.items())
        raise ValueError(
            f"The columns of {path} must have one number of rows, but {listed}."
        )
    if 0 in lengths.values():
        raise ValueError(f"The file {path} must hold at least one row, but has none.")
    return Table(path, columns)


def checked_path(path: Any) -> Path:
    """The path if a file of a known kind is there, else a refusal."""
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"Argument `path` must be a path, but is {path!r}.")
    path = Path(path).expanduser()
    if path.is_dir():
        raise IsADirectoryError(f"The data must be a file, but {path} is a folder.")
    if path.suffix.lower() not in READERS:
        raise ValueError(
            f"The data file must end in {', '.join(READERS)}, but is {path}."
        )
    if not path.exists():
        raise FileNotFoundError(f"The data file must exist, but {path} does not.")
    try:
        path.open("rb").close()
    except OSError as error:
        raise OSError(
            f"The file {path} must be readable, but is not: {error.strerror}."
        ) from error
    if path.stat().st_size == 0:
        raise ValueError(f"The file {path} must hold data, but is empty (0 bytes).")
    return path


# --- the three kinds ---


def _read_csv(path: Path, wanted: Sequence[str]) -> dict[str, np.ndarray]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = csv.reader(file, skipinitialspace=True, strict=True)
            rows = [(lines.line_num, row) for row in lines if row]
    except (UnicodeDecodeError, csv.Error) as error:
        _unreadable(path, "CSV text", error)
    if not rows:
        raise ValueError(f"The file {path} must hold data, but has only blank lines.")
    header = [name.strip() for name in rows[0][1]]
    check_names(path, header, wanted)
    for line, row in rows[1:]:
        if len(row) != len(header):
            raise ValueError(
                f"Every line of {path} must have {len(header)} fields like its "
                f"header, but line {line} has {len(row)}."
            )
    places = {name: header.index(name) for name in wanted}
    return {
        name: np.array([row[place] for _, row in rows[1:]], dtype=object)
        for name, place in places.items()
    }


def _read_npz(path: Path, wanted: Sequence[str]) -> dict[str, np.ndarray]:
    try:
        if not zipfile.is_zipfile(path):
            raise zipfile.BadZipFile("it is no zip archive, or was cut short")
        with np.load(path, allow_pickle=False) as archive:
            check_names(path, archive.files, wanted)
            return {name: _array(path, archive, name) for name in wanted}
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        _unreadable(path, "an NPZ archive", error)


def _array(path: Path, archive: Any, name: str) -> np.ndarray:
    try:
        array = archive[name]
    except ValueError as error:  # pickled objects, or a damaged member
        raise ValueError(
            f"Array {name!r} of {path} must be a plain array of numbers or text, but "
            f"cannot be read: {_reason(error)}."
        ) from error
    if not isinstance(array, np.ndarray) or array.ndim not in (1, 2):
        raise ValueError(
            f"Array {name!r} of {path} must have shape (K,) or (K, columns), but "
            f"has {f'shape {array.shape}' if hasattr(array, 'shape') else 'none'}."
        )
    return array


def _read_parquet(path: Path, wanted: Sequence[str]) -> dict[str, np.ndarray]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError(
            "Parquet files need pyarrow, which is not installed; run "
            "`pip install 'plateaux[data]'`."
        ) from error
    try:
        table = pyarrow.parquet.read_table(path)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        _unreadable(path, "a Parquet file", error)
    check_names(path, table.column_names, wanted)
    return {name: _arrow_column(table.column(name)) for name in wanted}


def _arrow_column(column: Any) -> np.ndarray:
    import pyarrow.types as kinds

    if kinds.is_integer(column.type) or kinds.is_floating(column.type):
        return column.to_numpy()
    # A loop: NumPy would make a second axis of a column of lists.
    entries = np.empty(len(column), dtype=object)
    for row, entry in enumerate(column.to_pylist()):
        entries[row] = entry
    return entries


READERS: dict[str, Callable[[Path, Sequence[str]], dict[str, np.ndarray]]] = {
    ".csv": _read_csv,
    ".npz": _read_npz,
    ".parquet": _read_parquet,
}


# --- checks ---


def check_names(path: Path, names: Collection[str], wanted: Sequence[str]) -> None:
    """Refuse a wanted column that is not there, or is there twice."""
    names = list(names)
    for name in wanted:
        if names.count(name) > 1:
            raise ValueError(
                f"Column {name!r} of {path} must be there once, but "
                f"{names.count(name)} columns have that name."
            )
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1, cutoff=0.0)
            hint = f"; did you mean {near[0]!r}?" if near else "."
            raise ValueError(
                f"Column {name!r} must be in {path}, but its columns are "
                f"{_listed(names)}{hint}"
            )


def _is_missing(entry: Any) -> bool:
    if isinstance(entry, str):
        return entry.strip().lower() in MISSING
    return entry is None or bool(entry != entry)  # NaN


def _as_floats(column: np.ndarray) -> list[float | None]:
    # Dates and complex numbers would convert too, to something else.
    if column.dtype.kind not in "iufbOUS":
        return [None] * column.size
    return [_as_float(entry) for entry in column.ravel()]


def _as_float(entry: Any) -> float | None:
    """The entry as a float, NaN if it is missing, None if it is not a number."""
    if _is_missing(entry):
        return np.nan
    try:
        return float(entry)
    except (TypeError, ValueError):
        return None


def _listed(names: Sequence[str], most: int = 20) -> str:
    shown = ", ".join(repr(name) for name in names[:most]) or "none"
    return shown if len(names) <= most else f"{shown}, … ({len(names)} in all)"


def _reason(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


def _unreadable(path: Path, kind: str, error: Exception) -> NoReturn:
    raise ValueError(
        f"The file {path} must be {kind}, but cannot be read: {_reason(error)}."
    ) from error
