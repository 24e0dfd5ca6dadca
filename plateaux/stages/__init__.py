"""Stages: what a trajectory went through."""

from .explain import (
    Explanation as Explanation,
    PlateauKind as PlateauKind,
    at_events as at_events,
    explain as explain,
)
from .multistage import (
    Escape as Escape,
    Multistage as Multistage,
    first_below as first_below,
    multistage as multistage,
)
from .plateau import Plateaus as Plateaus, plateaus as plateaus
