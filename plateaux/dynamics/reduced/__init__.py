r"""Reduced models: stages of training from small weights, and plateaus of depth.

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

Plateaus that depth makes have closed forms for linear networks:

| start | model | gives |
|---|---|---|
| quadratic saddle | `saddle_escape_time` | time or steps of five methods |
| balanced chain | `chain_escape_time`, `log_chain_escape_time` | when Π is u_1 |
| balanced chain, on data | `chain_law`, `chain_flow` | `ChainLaw`, `Trajectory` |
| balanced chain, sign flow | `sign_flow_time` | when Π is u_1 |
| two unequal weights | `two_weight_escape_time` | when Π is u_1 |
| deep linear network, aligned | `linear_modes` | a `ChainLaw` a mode, the loss |
"""

from .chain import (
    ChainLaw as ChainLaw,
    chain_escape_time as chain_escape_time,
    log_chain_escape_time as log_chain_escape_time,
)
from .chain_flow import (
    chain_flow as chain_flow,
    chain_law as chain_law,
    sign_flow_time as sign_flow_time,
)
from .cubic import (
    CubicDrive as CubicDrive,
    blow_up_time as blow_up_time,
    cubic_drive as cubic_drive,
    cubic_flow as cubic_flow,
)
from .deep_linear import LinearModes as LinearModes, linear_modes as linear_modes
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
from .saddle import saddle_escape_time as saddle_escape_time
from .small_weights import (
    AffineFit as AffineFit,
    SmallWeights as SmallWeights,
    affine_fit as affine_fit,
    small_weights as small_weights,
)
from .unbalanced import two_weight_escape_time as two_weight_escape_time
