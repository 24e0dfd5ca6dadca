"""Tidy tables of a sweep: one row a lane, and one row a plateau."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .. import _checks
from .reading import open_sweep
from .store import one_sentence
from .summary import OUTCOMES, TABLE_COLUMNS

FORMATS = ("csv", "parquet")


def export(directory: Any, out: Any = None, *, format: str = "csv") -> list[Path]:
    """Write the tables of a sweep's stored lanes, point after point.

    `lanes` has one row a lane: point, swept leaves, lane, outcome, final loss, and
    the counts of the store. `plateaus` has one row a plateau: point, swept leaves,
    lane, definition, number, start, end, dwell, level, drop, censored.

    Args:
        directory: The folder of a sweep, finished or not.
        out: The folder of the tables; the sweep's own if None.
        format: "csv" or "parquet".

    Returns:
        The files, `lanes` and `plateaus`.

    Raises:
        SweepError: If the folder holds no sweep, or the tables cannot be written.
        ValueError: If the format is unknown.
        ImportError: If pandas (or, for Parquet, pyarrow) is not installed.
    """
    _checks.known("format", format, FORMATS)
    _import_pandas()
    stored = open_sweep(directory)
    out = Path(directory if out is None else out)
    write = {"csv": _write_csv, "parquet": _write_parquet}[format]
    tables = {"lanes": lane_table, "plateaus": plateau_table}
    files = []
    with one_sentence(out):
        out.mkdir(parents=True, exist_ok=True)
        for name, table in tables.items():
            file = out / f"{name}.{format}"
            points = range(stored.dataset.sizes["point"])
            partial = file.with_suffix(f".{format}.partial")
            write(partial, (table(stored.dataset, point) for point in points))
            files.append(partial.replace(file))
    return files


def lane_table(dataset: Any, point: int) -> Any:
    """The stored lanes of one point as a `pandas.DataFrame`, one row each.

    Args:
        dataset: A sweep's dataset.
        point: The grid point.

    Returns:
        The table. `final_loss` is the loss at the last saved time.
    """
    here = dataset.isel(point=point).load()
    lanes = np.flatnonzero(here["done"].values)
    columns = _names(here, point, lanes)
    codes = here["outcome"].values[lanes]
    columns["outcome"] = np.array(OUTCOMES, object)[codes]
    columns["final_loss"] = here["loss"].values[lanes, np.sum(_saved(here)) - 1]
    for name, array in here.data_vars.items():
        if array.dims == ("lane",) and name not in ("done", "outcome"):
            columns[str(name)] = array.values[lanes]
    return _import_pandas().DataFrame(columns)


def plateau_table(dataset: Any, point: int) -> Any:
    """The plateaus of one point's stored lanes as a `pandas.DataFrame`, one row each.

    Args:
        dataset: A sweep's dataset.
        point: The grid point.

    Returns:
        The table, one definition after another; `number` counts a lane's plateaus
        from 0.
    """
    pandas = _import_pandas()
    here = dataset.isel(point=point).load()
    parts = []
    for by in ("slope", "pattern"):
        if f"{by}_start" in here:
            parts.append(pandas.DataFrame(_plateau_columns(here, point, by)))
    return pandas.concat(parts, ignore_index=True)


def _plateau_columns(here: Any, point: int, by: str) -> dict[str, Any]:
    used = np.isfinite(here[f"{by}_start"].values) & here["done"].values[:, None]
    lanes, numbers = np.nonzero(used)
    columns = _names(here, point, lanes) | {"definition": by, "number": numbers}
    return columns | {name: here[f"{by}_{name}"].values[used] for name in TABLE_COLUMNS}


def _names(here: Any, point: int, lanes: np.ndarray) -> dict[str, Any]:
    """The columns that say which lane a row is about."""
    swept = {str(name): here[name].item() for name in here.coords if name != "times"}
    rows = {name: np.full(lanes.shape, value) for name, value in swept.items()}
    del rows["label"]
    return {"point": np.full(lanes.shape, point)} | rows | {"lane": lanes}


def _saved(here: Any) -> np.ndarray:
    """Which times of a point are saved; shorter runs of a grid are padded."""
    return np.isfinite(here["times"].values)


def _write_csv(file: Path, tables: Iterator[Any]) -> None:
    with file.open("w", encoding="utf-8", newline="") as stream:
        for number, table in enumerate(tables):
            table.to_csv(stream, index=False, header=number == 0)


def _write_parquet(file: Path, tables: Iterator[Any]) -> None:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError(
            "Parquet tables need pyarrow, which is not installed; run "
            "`pip install 'plateaux[data]'`."
        ) from error
    first = pyarrow.Table.from_pandas(next(tables), preserve_index=False)
    with pyarrow.parquet.ParquetWriter(file, first.schema) as writer:
        writer.write_table(first)
        for table in tables:
            rest = pyarrow.Table.from_pandas(
                table, schema=first.schema, preserve_index=False
            )
            writer.write_table(rest)


def _import_pandas() -> Any:
    try:
        import pandas
    except ImportError as error:
        raise ImportError(
            "Tables need pandas, which is not installed; run "
            "`pip install 'plateaux[data]'`."
        ) from error
    return pandas
