"""A sweep for other programs: tidy tables, or one NetCDF file."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .. import _checks
from .netcdf import import_netcdf, write_netcdf
from .reading import Sweep, open_sweep
from .store import one_sentence
from .summary import OUTCOMES, TABLE_COLUMNS

FORMATS = ("csv", "parquet", "netcdf")
EVERY = slice(None)


def export(directory: Any, out: Any = None, *, format: str = "csv") -> list[Path]:
    """Write a sweep's stored lanes for other programs, a few thousand at a time.

    `lanes` has one row a lane: point, swept leaves, lane, outcome, final loss, and
    the counts of the store. `plateaus` has one row a plateau: point, swept leaves,
    lane, definition, number, start, end, dwell, level, drop, censored; of a sweep that
    does not train there is `layers` instead, one row a layer: point, swept leaves,
    lane, layer from 1, and the logarithms of its norms. The NetCDF file `sweep.nc`
    holds the arrays of `open_sweep(directory).dataset` as they are.

    Args:
        directory: The folder of a sweep, finished or not.
        out: The folder of the files; the sweep's own if None.
        format: "csv", "parquet" or "netcdf".

    Returns:
        The files, `lanes` and `plateaus` (or `layers`), or `sweep.nc`.

    Raises:
        SweepError: If the folder holds no sweep, or the files cannot be written.
        ValueError: If the format is unknown.
        ImportError: If pandas (for Parquet also pyarrow), or for NetCDF netCDF4, is
            not installed.
    """
    _checks.known("format", format, FORMATS)
    import_netcdf() if format == "netcdf" else _import_pandas()
    stored = open_sweep(directory)
    out = Path(directory if out is None else out)
    with one_sentence(out):
        out.mkdir(parents=True, exist_ok=True)
        if format == "netcdf":
            return [_whole_file(out / "sweep.nc", write_netcdf, stored)]
        write = {"csv": _write_csv, "parquet": _write_parquet}[format]
        tables = {"lanes": lane_table}
        tables |= (
            {"plateaus": plateau_table}
            if stored.spec.trains
            else {"layers": layer_table}
        )
        return [
            _whole_file(out / f"{name}.{format}", write, _blocks(stored, table))
            for name, table in tables.items()
        ]


def _whole_file(file: Path, write: Callable, content: Any) -> Path:
    """Write beside the file's place, then move there."""
    partial = file.with_name(f"{file.name}.partial")
    write(partial, content)
    return partial.replace(file)


def _blocks(stored: Sweep, table: Callable) -> Iterator[Any]:
    """The tables of blocks of lanes, point after point."""
    for point, lanes in stored.blocks():
        yield table(stored.dataset, point, lanes)


def lane_table(dataset: Any, point: int, lanes: slice = EVERY) -> Any:
    """The stored lanes of one point as a `pandas.DataFrame`, one row each.

    Args:
        dataset: A sweep's dataset.
        point: The grid point.
        lanes: Which of its lanes.

    Returns:
        The table. `final_loss` is the loss at the last saved time.
    """
    here = _of_lanes(dataset, point, lanes)
    rows = np.flatnonzero(here["done"].values)
    columns = _names(here, point, rows + (lanes.start or 0))
    codes = here["outcome"].values[rows]
    columns["outcome"] = np.array(OUTCOMES, object)[codes]
    for name, array in here.data_vars.items():
        if array.dims == ("lane",) and name not in ("done", "outcome"):
            columns[str(name)] = array.values[rows]
    return _import_pandas().DataFrame(columns)


def plateau_table(dataset: Any, point: int, lanes: slice = EVERY) -> Any:
    """The plateaus of one point's stored lanes as a `pandas.DataFrame`, one row each.

    Args:
        dataset: A sweep's dataset.
        point: The grid point.
        lanes: Which of its lanes.

    Returns:
        The table, one definition after another; `number` counts a lane's plateaus
        from 0.
    """
    pandas = _import_pandas()
    here = _of_lanes(dataset, point, lanes)
    parts = []
    for by in ("slope", "pattern"):
        if f"{by}_start" in here:
            parts.append(pandas.DataFrame(_plateau_columns(here, point, lanes, by)))
    return pandas.concat(parts, ignore_index=True)


def layer_table(dataset: Any, point: int, lanes: slice = EVERY) -> Any:
    """The layers of one point's stored lanes as a `pandas.DataFrame`, one row each.

    Args:
        dataset: The dataset of a sweep that does not train.
        point: The grid point.
        lanes: Which of its lanes.

    Returns:
        The table; the output is the last layer.
    """
    here = _of_lanes(dataset, point, lanes)
    # Fewer layers than the deepest point has are padded with NaN.
    used = ~np.isnan(here["log_gradient"].values) & here["done"].values[:, None]
    rows, layers = np.nonzero(used)
    columns = _names(here, point, rows + (lanes.start or 0)) | {"layer": layers + 1}
    for name, array in here.data_vars.items():
        if array.dims == ("lane", "layer"):
            columns[str(name)] = array.values[used]
    return _import_pandas().DataFrame(columns)


def _plateau_columns(here: Any, point: int, lanes: slice, by: str) -> dict[str, Any]:
    used = np.isfinite(here[f"{by}_start"].values) & here["done"].values[:, None]
    rows, numbers = np.nonzero(used)
    names = _names(here, point, rows + (lanes.start or 0))
    columns = names | {"definition": by, "number": numbers}
    return columns | {name: here[f"{by}_{name}"].values[used] for name in TABLE_COLUMNS}


def _names(here: Any, point: int, lanes: np.ndarray) -> dict[str, Any]:
    """The columns that say which lane a row is about."""
    swept = {str(name): here[name].item() for name in here.coords if name != "times"}
    rows = {name: np.full(lanes.shape, value) for name, value in swept.items()}
    del rows["label"]
    return {"point": np.full(lanes.shape, point)} | rows | {"lane": lanes}


def _of_lanes(dataset: Any, point: int, lanes: slice) -> Any:
    """What is stored of some lanes, loaded; not the histograms of all of them."""
    names = [name for name, array in dataset.items() if "lane" in array.dims]
    return dataset[names].isel(point=point, lane=lanes).load()


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
