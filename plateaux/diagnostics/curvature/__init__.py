r"""Curvature of the loss: the Hessian, its spectrum, and what lies along it.

| wanted | function | cost |
|---|---|---|
| all of it | `hessian`, `gauss_newton` | p² numbers |
| a product | `hessian_vector_product`, `gauss_newton_vector_product` | a few gradients |
| many products | `hessian_operator`, `gauss_newton_operator` | a gradient or two each |
| λ_max, λ_min, ρ | `extreme_eigenvalues`; along a run `curvature_along` | 20–100 products |
| tr H | `trace` | 90 products |
| the spectrum | `spectral_density` | 512 products |
| layer by layer | `layer_spectra`, `layer_gradient_norms` | p products |
| along directions | `directional_curvature`, `gradient_alignment` | a product, λ's |
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
