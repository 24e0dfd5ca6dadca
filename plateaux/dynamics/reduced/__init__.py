r"""Reduced models of the stages of training from small weights.

| stage | model | holds for |
|---|---|---|
| 1, initial plateau | `linear_flow`, closed form | any data |
| 2, initial descent | `moment_flow`, (d + 2)² equations whatever the width | any data |
| 2, initial descent | `logistic_flow`, closed form | white inputs |
| 3, secondary plateau | `cubic_flow`, the competition of all neurons | φ''(0) = 0 |
| 3, secondary plateau | `replicator_flow`, `blow_up_time`, closed | kept direction |

All return a `Trajectory`, whose networks are networks, so that `px.compare` and the
plots take them. After Chen, Luo & Wang (2024), arXiv:2410.20119; the formulas are
derived where they stand.
"""

from .cubic import (
    CubicDrive as CubicDrive,
    blow_up_time as blow_up_time,
    cubic_drive as cubic_drive,
    cubic_flow as cubic_flow,
)
from .linear import linear_flow as linear_flow
from .logistic import (
    LogisticLaw as LogisticLaw,
    logistic_flow as logistic_flow,
    logistic_law as logistic_law,
)
from .modes import (
    NeuronModes as NeuronModes,
    condensed_size as condensed_size,
    neuron_modes as neuron_modes,
)
from .moments import moment_flow as moment_flow, propagated as propagated
from .replicator import (
    replicator_flow as replicator_flow,
    replicator_shares as replicator_shares,
)
from .small_weights import (
    AffineFit as AffineFit,
    SmallWeights as SmallWeights,
    affine_fit as affine_fit,
    small_weights as small_weights,
)
