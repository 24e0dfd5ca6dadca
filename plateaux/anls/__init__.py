"""Active-neuron least squares: training by least squares across activation patterns.

The room carries the name of its main function, so it can be called like it.
"""

import sys
from types import ModuleType

from .anls import METHODS as METHODS, anls as anls
from .anls_many import anls_many as anls_many
from .collocation import Collocation as Collocation
from .gauss_newton import GaussNewton as GaussNewton
from .joint import Joint as Joint
from .levenberg_marquardt import LevenbergMarquardt as LevenbergMarquardt
from .line_search import Best as Best, line_search as line_search
from .moves import Method as Method, Move as Move
from .neuron_wise import (
    ExactNeurons as ExactNeurons,
    Neurons as Neurons,
    exact_sweep as exact_sweep,
)
from .univariate import (
    Hinge as Hinge,
    best_hinge as best_hinge,
    sort_data as sort_data,
)
from .variable_projection import VariableProjection as VariableProjection


class _Room(ModuleType):
    """A module that is called as `px.anls(…)`."""

    __call__ = staticmethod(anls)


sys.modules[__name__].__class__ = _Room
