"""Figures: each draws what it is given into `ax=` and returns it."""

from .cells import (
    distribution as distribution,
    floors as floors,
    local_lines as local_lines,
)
from .condensation import (
    amplitude_map as amplitude_map,
    condensation_map as condensation_map,
    loss_stages as loss_stages,
    phase_portrait as phase_portrait,
)
from .curvature import update_curvature as update_curvature
from .depth import depth_fan as depth_fan, spectral_ridges as spectral_ridges
from .flows import (
    distances as distances,
    event_raster as event_raster,
    work_precision as work_precision,
)
from .grids import heat_map as heat_map, outcomes as outcomes
from .losses import ensemble_band as ensemble_band, loss_curve as loss_curve
from .networks import (
    activation_raster as activation_raster,
    function_snapshots as function_snapshots,
    kinks as kinks,
)
from .plane import output_map as output_map
from .ranks import rank_ridges as rank_ridges, rank_staircase as rank_staircase
from .spectra import (
    error_bounds as error_bounds,
    spectrum_waterfall as spectrum_waterfall,
)
from .survival import survival_curves as survival_curves
