"""Statistics of groups of lanes: survival, tests, regression, intervals, summaries."""

from ._samples import Interval as Interval
from .agreement import Agreement as Agreement
from .bootstrap import bootstrap_interval as bootstrap_interval
from .depth_laws import (
    alive_probability as alive_probability,
    chain_law as chain_law,
    linear_law as linear_law,
    relu_law as relu_law,
    residual_chain_law as residual_chain_law,
)
from .escapes import EscapeSummary as EscapeSummary, escape_summary as escape_summary
from .log_histogram import (
    histogram_quantiles as histogram_quantiles,
    log_bins as log_bins,
    log_histogram as log_histogram,
)
from .log_products import LogProductLaw as LogProductLaw
from .log_rank import LogRank as LogRank, log_rank as log_rank
from .proportions import wilson as wilson
from .quantile_sequences import quantile_sequence as quantile_sequence
from .quantiles import quantile_band as quantile_band, quantiles as quantiles
from .regression import (
    LogDurationRegression as LogDurationRegression,
    accelerated_failure_time as accelerated_failure_time,
)
from .restricted_mean import (
    difference as difference,
    restricted_mean as restricted_mean,
)
from .sensitivity import (
    DefinitionRow as DefinitionRow,
    SensitivityTable as SensitivityTable,
    sensitivity_table as sensitivity_table,
)
from .sequences import (
    bernoulli_sequence as bernoulli_sequence,
    mean_sequence as mean_sequence,
)
from .staircases import (
    StaircaseSummary as StaircaseSummary,
    staircase_summary as staircase_summary,
)
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
from .vanishing_depth import (
    LeadingOrder as LeadingOrder,
    critical_width as critical_width,
    leading_order as leading_order,
    vanishing_depth as vanishing_depth,
)
