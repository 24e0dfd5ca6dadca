"""Dynamics: ways of training, all with one record of what happened."""

from . import reduced as reduced
from .cell_flow import CellFlow as CellFlow, cell_flow as cell_flow
from .compare import (
    Comparison as Comparison,
    compare as compare,
    matched_distance as matched_distance,
    modified_gradient as modified_gradient,
)
from .curvature_operators import (
    gauss_newton_operator as gauss_newton_operator,
    hessian_operator as hessian_operator,
)
from .descent import descend as descend
from .flow import flow as flow
from .flow_many import flow_many as flow_many
from .gradient import (
    Evaluation as Evaluation,
    evaluate as evaluate,
    gradient_norm as gradient_norm,
)
from .hessian import (
    gauss_newton as gauss_newton,
    gauss_newton_vector_product as gauss_newton_vector_product,
    hessian as hessian,
    hessian_vector_product as hessian_vector_product,
)
from .lane_gradient import evaluate_unwatched as evaluate_unwatched
from .optimizer import (
    GradientDescent as GradientDescent,
    gradient_descent as gradient_descent,
    plain_step_size as plain_step_size,
)
from .saddle_optimizers import (
    noisy_descent as noisy_descent,
    normalised_descent as normalised_descent,
    saddle_free_newton as saddle_free_newton,
)
from .save import (
    At as At,
    Every as Every,
    LogSpaced as LogSpaced,
    Save as Save,
    at as at,
    every as every,
    log_spaced as log_spaced,
)
from .sorted_gradient import (
    evaluate_sorted as evaluate_sorted,
    in_order as in_order,
)
from .steps import (
    FlowStep as FlowStep,
    boundary_modes as boundary_modes,
    boundary_velocities as boundary_velocities,
    descent_step as descent_step,
    flow_step as flow_step,
    modes_of as modes_of,
)
from .trajectory import (
    Accuracy as Accuracy,
    EventKind as EventKind,
    Events as Events,
    Outcome as Outcome,
    Stats as Stats,
    Trajectory as Trajectory,
)
