"""Patterns: activation patterns, and the cells of parameters that share one."""

from ..networks.univariate import (
    active_cuts as active_cuts,
    active_ranges as active_ranges,
)
from .bounds import (
    Certificate as Certificate,
    LossBounds as LossBounds,
    certify as certify,
    loss_bounds as loss_bounds,
)
from .cells import (
    CellRates as CellRates,
    cell_fit as cell_fit,
    cell_rates as cell_rates,
    design_matrix as design_matrix,
    tangent_kernel as tangent_kernel,
    violation as violation,
)
from .enumeration import (
    BestLoss as BestLoss,
    best_loss as best_loss,
    neuron_patterns as neuron_patterns,
)
from .exits import (
    Confinement as Confinement,
    ExitBounds as ExitBounds,
    exit_bounds as exit_bounds,
    never_leaves as never_leaves,
)
from .least_squares import LeastSquares as LeastSquares, least_squares as least_squares
from .lines import LocalLines as LocalLines, local_lines as local_lines
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
from .stationary import (
    StationaryKind as StationaryKind,
    StationaryPoint as StationaryPoint,
    stationary_point as stationary_point,
)
from .univariate import (
    SortedData as SortedData,
    neuron_gradients as neuron_gradients,
    sort_data as sort_data,
    univariate_fit as univariate_fit,
)
