"""Stages: what a trajectory went through."""

from ._tables import Plateaus as Plateaus
from .escape import (
    EscapeCause as EscapeCause,
    EscapeTime as EscapeTime,
    escape as escape,
)
from .escape_direction import (
    EscapeDirection as EscapeDirection,
    escape_direction as escape_direction,
)
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
from .plateau import plateaus as plateaus
from .staircase import Staircase as Staircase, staircase as staircase
