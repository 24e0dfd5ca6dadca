"""Statistics of groups of lanes: survival, proportions, quantiles, summaries."""

from ._samples import Interval as Interval
from .bootstrap import bootstrap_interval as bootstrap_interval
from .log_histogram import (
    histogram_quantiles as histogram_quantiles,
    log_bins as log_bins,
    log_histogram as log_histogram,
)
from .proportions import wilson as wilson
from .quantiles import quantile_band as quantile_band, quantiles as quantiles
from .summary import (
    PlateauSummary as PlateauSummary,
    plateau_summary as plateau_summary,
    probability_below as probability_below,
)
from .survival import (
    SurvivalCurve as SurvivalCurve,
    kaplan_meier as kaplan_meier,
    median_survival as median_survival,
    survival_at as survival_at,
)
