"""Sweeps: specify, run, store, resume, merge, replay, export."""

from .devices import over_devices as over_devices
from .errors import SweepError as SweepError
from .estimate import Estimate as Estimate, estimate as estimate
from .export import export as export
from .grid import Point as Point, grid as grid
from .initial_summary import (
    InitialSummary as InitialSummary,
    forward_law_quantiles as forward_law_quantiles,
    initial_summary as initial_summary,
)
from .merge import merge as merge
from .reading import Sweep as Sweep, open_sweep as open_sweep
from .replay import replay as replay
from .run import sweep as sweep
from .spec import SweepSpec as SweepSpec, read_spec as read_spec
from .status import Status as Status, status as status
