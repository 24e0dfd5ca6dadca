r"""Curvature of the loss: the Hessian, its spectrum, and what lies along it.

| wanted | function | products |
|---|---|---|
| the matrix | `hessian`, `gauss_newton` | |
| a product | `hessian_vector_product`, `gauss_newton_vector_product` | 1 |
| many products | `hessian_operator`, `gauss_newton_operator` | |
| λ_max, λ_min, ρ | `extreme_eigenvalues` | 30–100 |
| the same along a run | `curvature_along` | 16–20 a network |
| the same of a linear chain | `chain_curvature`, in logarithms | |
| tr H | `trace` | 90 |
| the spectrum | `spectral_density` | 512 |
| layer by layer | `layer_spectra`, `layer_gradient_norms` | p |
| along directions | `directional_curvature`, `curvature_of_steps` | 1 |
| the gradient's directions | `gradient_alignment`, `update_alignment` | as λ's |

A product costs about two gradients.
"""

from ...dynamics.curvature_operators import (
    gauss_newton_operator as gauss_newton_operator,
    hessian_operator as hessian_operator,
)
from ...dynamics.hessian import (
    gauss_newton as gauss_newton,
    gauss_newton_vector_product as gauss_newton_vector_product,
    hessian as hessian,
    hessian_vector_product as hessian_vector_product,
)
from .alignments import (
    Alignment as Alignment,
    directional_curvature as directional_curvature,
    gradient_alignment as gradient_alignment,
    update_alignment as update_alignment,
)
from .along import (
    CurvatureAlong as CurvatureAlong,
    curvature_along as curvature_along,
    curvature_of_steps as curvature_of_steps,
)
from .chain import ChainCurvature as ChainCurvature, chain_curvature as chain_curvature
from .density import (
    SpectralDensity as SpectralDensity,
    spectral_density as spectral_density,
)
from .extreme import (
    ExtremeEigenvalues as ExtremeEigenvalues,
    extreme_eigenvalues as extreme_eigenvalues,
)
from .layers import (
    layer_gradient_norms as layer_gradient_norms,
    layer_spectra as layer_spectra,
)
from .traces import TraceEstimate as TraceEstimate, trace as trace
