"""Patterns: activation patterns, and the cells of parameters that share one."""

from .cells import (
    CellRates as CellRates,
    cell_fit as cell_fit,
    cell_rates as cell_rates,
    design_matrix as design_matrix,
    tangent_kernel as tangent_kernel,
    violation as violation,
)
from .least_squares import LeastSquares as LeastSquares, least_squares as least_squares
from .pattern import (
    active_counts as active_counts,
    breakpoints as breakpoints,
    dead_neurons as dead_neurons,
    flips as flips,
    hamming as hamming,
    layer_patterns as layer_patterns,
    pattern as pattern,
    pattern_hash as pattern_hash,
)
from .segmented import SegmentedFit as SegmentedFit, segmented_fit as segmented_fit
