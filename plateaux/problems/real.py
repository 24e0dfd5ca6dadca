r"""Real data bundled with scikit-learn, in standard units.

Standard units of a column are (x − mean)/std with the population standard deviation
(divide by K, not K − 1) over the data used; a column that is constant over them
becomes 0 (digits have three such pixels).

Nothing is downloaded. Needs scikit-learn: `pip install 'plateaux[data]'`.
"""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from . import _prepare
from .problem import Problem


def diabetes(
    *,
    num_data: Any = None,
    standardise: Any = True,
    seed: Any = 0,
    loss: Any = "squared",
    dtype: Any = None,
    normalisation: Any = "mean",
) -> Problem:
    """Disease progression after a year from ten measurements of 442 patients.

    Args:
        num_data: Use only so many data, the first after a shuffle by `seed`; None
            uses all, in their order.
        standardise: Bring every input and the target to mean 0 and standard
            deviation 1; otherwise the raw measurements.
        seed: Of the shuffle, an integer or a `jax.random` key.
        loss: Of a scalar output, "squared" unless you bring your own.
        dtype: Of the data.
        normalisation: "mean" or "sum".

    Returns:
        The problem, ten inputs (age, sex, bmi, bp, s1 … s6), scalar target.

    Raises:
        ImportError: If scikit-learn is not installed.
        ValueError: If an argument is out of range.
        TypeError: If an argument is of the wrong kind.

    Example:
        >>> problem = diabetes()
        >>> problem.x.shape, problem.y.shape
        ((442, 10), (442,))

    Reference: Efron, Hastie, Johnstone & Tibshirani (2004), Ann. Statist. 32(2).
    """
    x, y = _raw_diabetes()
    rows = _prepare.subset(len(x), num_data, seed)
    x, y = x[rows], y[rows]
    if _prepare.flag("standardise", standardise):
        x, y = _prepare.standardised(x), _prepare.standardised(y)
    return _prepare.to_problem(
        x,
        y,
        _prepare.float_dtype(dtype),
        loss=loss,
        normalisation=normalisation,
        name="diabetes",
    )


def digits(
    *,
    classes: Any = None,
    num_data: Any = None,
    standardise: Any = True,
    seed: Any = 0,
    loss: Any = None,
    dtype: Any = None,
    normalisation: Any = "mean",
) -> Problem:
    """Handwritten digits, 1797 pictures of 8 × 8 pixels.

    Args:
        classes: None for all ten digits as one-hot rows; two different digits (a, b)
            for those only, with labels −1 for a and +1 for b.
        num_data: Use only so many data (of the chosen classes), the first after a
            shuffle by `seed`; None uses all, in their order.
        standardise: Bring every pixel to mean 0 and standard deviation 1, constant
            pixels to 0; otherwise the raw grey levels 0 to 16.
        seed: Of the shuffle, an integer or a `jax.random` key.
        loss: None is cross-entropy for ten digits and logistic for two.
        dtype: Of the data.
        normalisation: "mean" or "sum".

    Returns:
        The problem, 64 inputs (the pixels row by row), ten outputs or one.

    Raises:
        ImportError: If scikit-learn is not installed.
        ValueError: If an argument is out of range or labels do not fit the loss.
        TypeError: If an argument is of the wrong kind.

    Example:
        >>> digits().y.shape, digits(classes=(3, 8)).y.shape
        ((1797, 10), (357,))

    Reference: Alpaydin & Kaynak (1998), UCI Machine Learning Repository.
    """
    standardise = _prepare.flag("standardise", standardise)
    x, labels = _scikit_learn().load_digits(return_X_y=True)
    if classes is None:
        y, loss = _prepare.one_hot(labels, 10), loss or "cross_entropy"
    else:
        a, b = _two_digits(classes)
        kept = np.isin(labels, (a, b))
        x, y, loss = x[kept], _prepare.signs(labels[kept] == b), loss or "logistic"
    rows = _prepare.subset(len(x), num_data, seed)
    x, y = x[rows], y[rows]
    return _prepare.to_problem(
        _prepare.standardised(x) if standardise else x,
        y,
        _prepare.float_dtype(dtype),
        loss=loss,
        normalisation=normalisation,
        name="digits",
    )


def breast_cancer(
    *,
    num_data: Any = None,
    standardise: Any = True,
    seed: Any = 0,
    loss: Any = "logistic",
    dtype: Any = None,
    normalisation: Any = "mean",
) -> Problem:
    """Benign (+1) or malignant (−1) from thirty measurements of 569 tumours.

    Args:
        num_data: Use only so many data, the first after a shuffle by `seed`; None
            uses all, in their order.
        standardise: Bring every input to mean 0 and standard deviation 1; otherwise
            the raw measurements. Labels stay ±1.
        seed: Of the shuffle, an integer or a `jax.random` key.
        loss: "logistic", "exponential" or "squared".
        dtype: Of the data.
        normalisation: "mean" or "sum".

    Returns:
        The problem, thirty inputs, labels ±1.

    Raises:
        ImportError: If scikit-learn is not installed.
        ValueError: If an argument is out of range or labels do not fit the loss.
        TypeError: If an argument is of the wrong kind.

    Example:
        >>> problem = breast_cancer()
        >>> problem.x.shape, int((problem.y > 0).sum())
        ((569, 30), 357)

    Reference: Street, Wolberg & Mangasarian (1993), Proc. SPIE 1905.
    """
    standardise = _prepare.flag("standardise", standardise)
    x, benign = _scikit_learn().load_breast_cancer(return_X_y=True)
    rows = _prepare.subset(len(x), num_data, seed)
    x, y = x[rows], _prepare.signs(benign[rows] == 1)
    return _prepare.to_problem(
        _prepare.standardised(x) if standardise else x,
        y,
        _prepare.float_dtype(dtype),
        loss=loss,
        normalisation=normalisation,
        name="breast_cancer",
    )


def _raw_diabetes() -> tuple[np.ndarray, np.ndarray]:
    """Measurements and progression, straight from scikit-learn's folder if possible.

    Importing scikit-learn takes seconds, reading two small files does not.
    """
    try:
        found = importlib.util.find_spec("sklearn")
        places = found.submodule_search_locations if found else None
        folder = Path((places or [""])[0], "datasets", "data")
        x = np.loadtxt(folder / "diabetes_data_raw.csv.gz")
        return x, np.loadtxt(folder / "diabetes_target.csv.gz")
    except (ImportError, OSError):  # not installed, or a version with other files
        return _scikit_learn().load_diabetes(return_X_y=True, scaled=False)


def _scikit_learn() -> ModuleType:
    try:
        import sklearn.datasets
    except ImportError as error:
        raise ImportError(
            "The bundled data need scikit-learn, which is not installed; run "
            "`pip install 'plateaux[data]'`."
        ) from error
    return sklearn.datasets


def _two_digits(classes: Any) -> tuple[int, int]:
    try:
        a, b = (int(c) for c in classes if c in range(10))
        if a != b and len(classes) == 2:
            return a, b
    except (TypeError, ValueError):
        pass
    raise ValueError(
        "Argument `classes` must be two different digits from 0 to 9, but is "
        f"{classes!r}."
    )
