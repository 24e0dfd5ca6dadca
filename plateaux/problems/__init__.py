"""Problems: data and losses."""

from .catalogue import PROBLEMS as PROBLEMS, problem as problem
from .equations import (
    LinearEquation as LinearEquation,
    advection_reaction as advection_reaction,
    dirichlet as dirichlet,
    equation_loss as equation_loss,
    equation_residual as equation_residual,
    join as join,
    poisson as poisson,
)
from .files import from_file as from_file
from .functionals import (
    Functional as Functional,
    Part as Part,
    SolutionError as SolutionError,
    part_losses as part_losses,
    residual as residual,
    solution_error as solution_error,
)
from .grids import disk as disk, product_of_sines as product_of_sines
from .losses import (
    LOSSES as LOSSES,
    CrossEntropy as CrossEntropy,
    Exponential as Exponential,
    Logistic as Logistic,
    Loss as Loss,
    SquaredError as SquaredError,
    loss_function as loss_function,
)
from .operators import (
    Jet as Jet,
    derivative as derivative,
    gradient as gradient,
    jet as jet,
    laplacian as laplacian,
)
from .physics import (
    allen_cahn as allen_cahn,
    burgers as burgers,
    poisson_1d as poisson_1d,
    poisson_2d as poisson_2d,
)
from .problem import (
    Problem as Problem,
    check_match as check_match,
    loss as loss,
    pointwise_losses as pointwise_losses,
)
from .quadrature import (
    Quadrature as Quadrature,
    gauss_legendre as gauss_legendre,
    monte_carlo as monte_carlo,
    sampled as sampled,
    tensor as tensor,
    trapezoid as trapezoid,
)
from .real import (
    breast_cancer as breast_cancer,
    diabetes as diabetes,
    digits as digits,
)
from .ritz import ritz_1d as ritz_1d, ritz_2d as ritz_2d
from .sampled import (
    single_index as single_index,
    spiral as spiral,
    teacher_network as teacher_network,
    teacher_student as teacher_student,
)
from .standardised import (
    hyperbolic_tangent as hyperbolic_tangent,
    odd_cubic as odd_cubic,
    sine_and_square as sine_and_square,
)
from .synthetic import (
    absolute_value as absolute_value,
    gaussian_bump as gaussian_bump,
    polynomial as polynomial,
    runge as runge,
    sine as sine,
    step as step,
)
from .task import Task as Task
