"""Numbers of many draws: medians, shares, distances to a law, and a line of them."""

import math

import numpy as np
from scipy import stats

from plateaux import statistics as laws

QUARTILES = (0.25, 0.5, 0.75)


def median(values) -> list[float]:
    """Median and its 95 % interval by order statistics; NaN of no values."""
    if not len(values):
        return [math.nan] * 3
    return [float(part[0]) for part in laws.quantile_band(np.asarray(values), [0.5])]


def share(which) -> list[float]:
    """How often, with Wilson's 95 % interval."""
    return [float(part) for part in laws.wilson(int(np.sum(which)), len(which))]


def distance(values, law) -> float:
    """Kolmogorov-Smirnov distance to a law, in units of its 95 % critical value."""
    found = stats.kstest(np.asarray(values), law.cdf).statistic
    return float(found / stats.kstwo.ppf(0.95, len(values)))


def say(name: str, row: dict) -> None:
    """One line of the table."""
    words = [f"{key} {_number(value)}" for key, value in row.items()]
    print(f"{name:28} " + "; ".join(words), flush=True)


def _number(value) -> str:
    if not isinstance(value, list):
        return f"{value:.4g}"
    return "{:.4g} ({:.4g} to {:.4g})".format(*value)
