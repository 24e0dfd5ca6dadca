"""A problem from the user's own file."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from . import _prepare, tables
from .losses import CrossEntropy, Loss, SquaredError, loss_function
from .problem import Problem


def from_file(
    path: Any,
    *,
    x: Any,
    y: Any,
    weights: Any = None,
    loss: Any = "squared",
    normalisation: Any = "mean",
    standardise: Any = False,
    one_hot: Any = None,
    num_data: Any = None,
    seed: Any = 0,
    dtype: Any = None,
    name: Any = None,
) -> Problem:
    r"""The problem of named columns of a CSV, NPZ or Parquet file.

    In a CSV file the first line is the header; fields are separated by commas. In an
    NPZ archive names are names of arrays, and an array of shape (K, columns) stands
    for all its columns. Integers and truth values are numbers and become floats.
    A missing, NaN or infinite entry is refused: plateaux does not impute.

    Args:
        path: The file; relative paths start from the working folder.
        x: Names of the input columns, a list or one name.
        y: Name of the target column; a list for several outputs.
        weights: Name of a column of sample weights, or None.
        loss: The loss; labels must fit it (±1 for logistic and exponential).
        normalisation: "mean" or "sum", see `Problem`.
        standardise: True brings inputs, and for the squared loss targets too (not
            one-hot ones), to mean 0 and population standard deviation 1: (x −
            mean)/std over the rows used. "x" does so for the inputs only.
        one_hot: Whether `y` holds class labels (words or whole numbers), to become
            one-hot rows in sorted order. None: exactly if the loss is cross-entropy
            and `y` is one column.
        num_data: Use only so many rows, the first after a shuffle by `seed`; None
            uses all, in their order.
        seed: Of the shuffle, an integer or a `jax.random` key.
        dtype: Of the data; None is float64 if x64 is on, else float32.
        name: A word for reports; None is the file's name.

    Returns:
        The problem.

    Raises:
        ImportError: If a Parquet file comes and pyarrow is not installed.
        OSError: If the file does not exist or cannot be opened.
        TypeError: If an argument is of the wrong kind.
        ValueError: If the file cannot be read, is empty, lacks a column, or a column
            is not numeric, incomplete, constant although it is to be standardised,
            or does not fit the loss.

    Example:
        >>> import tempfile, pathlib
        >>> folder = tempfile.TemporaryDirectory()
        >>> path = pathlib.Path(folder.name, "people.csv")
        >>> _ = path.write_text("age,bmi,target\n50,30.5,1.5\n40,22.0,0.5\n")
        >>> problem = from_file(path, x=["age", "bmi"], y="target")
        >>> print(problem.x)
        [[50.  30.5]
         [40.  22. ]]
        >>> folder.cleanup()
    """
    loss, dtype = loss_function(loss), _prepare.float_dtype(dtype)
    inputs, targets = _names("x", x), _names("y", y)
    masses = () if weights is None else _names("weights", weights)
    if len(masses) > 1:
        raise TypeError(
            f"Argument `weights` must be one column name, but is {weights!r}."
        )
    table = tables.read_table(path, _distinct(inputs + targets + masses))
    rows = _prepare.subset(len(table), num_data, seed)
    one_hot = _is_one_hot(one_hot, table, targets, loss)
    scale_x, scale_y = _scaling(standardise, one_hot, loss)

    x = _matrix(table, inputs)[rows]
    y = _one_hot_rows(table, targets) if one_hot else _matrix(table, targets)
    y = y[rows]
    x = _standardised(table, inputs, x) if scale_x else x
    y = _standardised(table, targets, y) if scale_y else y
    if not one_hot and len(targets) == 1 and not table.is_matrix(targets[0]):
        y = y[:, 0]
    _check_labels(table, targets, loss, y.astype(dtype))
    return _prepare.to_problem(
        x,
        y,
        dtype,
        weights=_matrix(table, masses)[rows, 0] if masses else None,
        loss=loss,
        normalisation=normalisation,
        name=table.path.stem if name is None else str(name),
    )


def _names(argument: str, names: Any) -> tuple[str, ...]:
    """The option as a tuple of names; one name stands for itself."""
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, Sequence) or not names:
        raise TypeError(
            f"Argument `{argument}` must be a column name or a list of them, but is "
            f"{names!r}."
        )
    for name in names:
        if not isinstance(name, str):
            raise TypeError(
                f"Argument `{argument}` must hold column names, but one is {name!r}."
            )
    return tuple(names)


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(
                f"Every column must be used once, but {name!r} is named "
                f"{names.count(name)} times in `x`, `y` and `weights`."
            )
    return names


def _is_one_hot(
    one_hot: Any, table: tables.Table, targets: tuple[str, ...], loss: Loss
) -> bool:
    one_column = len(targets) == 1 and not table.is_matrix(targets[0])
    if one_hot is None:
        return isinstance(loss, CrossEntropy) and one_column
    if _prepare.flag("one_hot", one_hot) and not one_column:
        raise ValueError(
            "Argument `y` must name one column of class labels for `one_hot=True`, "
            f"but is {', '.join(map(repr, targets))} of {table.path}."
        )
    return one_hot


def _scaling(standardise: Any, one_hot: bool, loss: Loss) -> tuple[bool, bool]:
    """Whether to standardise x, and whether y."""
    if not (standardise == "x" or isinstance(standardise, bool)):
        raise ValueError(
            "Argument `standardise` must be true, false or 'x' (the inputs only), but "
            f"is {standardise!r}."
        )
    scale_y = standardise is True and isinstance(loss, SquaredError) and not one_hot
    return bool(standardise), scale_y


def _matrix(table: tables.Table, names: tuple[str, ...]) -> np.ndarray:
    """The columns side by side, shape (K, columns)."""
    columns = [table.floats(name) for name in names]
    return np.concatenate([c.reshape(len(table), -1) for c in columns], axis=1)


def _one_hot_rows(table: tables.Table, targets: tuple[str, ...]) -> np.ndarray:
    classes, numbers = np.unique(table.labels(targets[0]), return_inverse=True)
    if len(classes) < 2:
        raise ValueError(
            f"Column {targets[0]!r} of {table.path} must hold two classes or more, "
            f"but holds {classes[0].item()!r} only."
        )
    return _prepare.one_hot(numbers, len(classes))


def _standardised(
    table: tables.Table, names: tuple[str, ...], columns: np.ndarray
) -> np.ndarray:
    constant = np.flatnonzero(_prepare.constant_columns(columns))
    if len(constant):
        place = int(constant[0])
        raise ValueError(
            f"Column {_column_name(table, names, place)} of {table.path} must vary to "
            f"be standardised, but is {columns[0, place]} in every row; leave it out "
            "or set `standardise=False`."
        )
    return _prepare.standardised(columns)


def _column_name(table: tables.Table, names: tuple[str, ...], place: int) -> str:
    """The name of a column of `_matrix`, say 'age', or 'pixels'[:, 3]."""
    for name in names:
        width = table.columns[name].size // len(table)
        if place < width:
            return f"{name!r}[:, {place}]" if table.is_matrix(name) else repr(name)
        place -= width
    raise IndexError(place)


def _check_labels(
    table: tables.Table, targets: tuple[str, ...], loss: Loss, y: np.ndarray
) -> None:
    complaint = loss.check_targets(jnp.asarray(y))
    if complaint:
        listed = ", ".join(map(repr, targets))
        raise ValueError(f"Column {listed} of {table.path} must {complaint}.")
