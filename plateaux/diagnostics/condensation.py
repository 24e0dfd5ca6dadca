r"""Condensation: how the input weights of a small network turn to few directions.

Input weights v_i are (w_i, b_i), or w_i in a network without biases; inputs x̃ = (x, 1),
or x. While a network is small it trains by ċ_i = φ'(0) z·v_i, v̇_i = φ'(0) c_i z with
z = E[f* x̃] (if φ(0) = 0), so that every v_i turns to ±z. Then one neuron or a few may
outgrow the others. Everything here is a function of (problem, network), to be passed to
`record=`; for many networks use `jax.vmap`. Networks are `TwoLayer`, or an `MLP` of one
hidden layer with a scalar output; affine parts do not matter.

Reference: Chen, Luo & Wang (2024), arXiv:2410.20119; Chen, Li, Luo, Zhou & Xu (2023),
arXiv:2303.06561, for condensation.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .._lengths import lengths, relative, unit_rows
from ._neurons import inputs, neurons
from .directions import directions


class Amplitudes(NamedTuple):
    """Sizes of every neuron's weights.

    Attributes:
        inner: Length ‖v_i‖ of the input weights, bias included.
        outer: Outer weight |c_i|.
    """

    inner: Float[Array, " n"]
    outer: Float[Array, " n"]


class Condensation(NamedTuple):
    """How condensed a network is, in a few numbers.

    Attributes:
        alignment: Mean over neurons of |cos(v_i, z)|.
        weighted_alignment: The same, every neuron weighted by |c_i|‖v_i‖.
        participation: `participation_ratio`.
        num_directions: Number of `directions`.
        largest: The neuron with the longest input weights.
        largest_inner: Its ‖v_i‖.
        largest_outer: Its |c_i|.
    """

    alignment: Float[Array, ""]
    weighted_alignment: Float[Array, ""]
    participation: Float[Array, ""]
    num_directions: Int[Array, ""]
    largest: Int[Array, ""]
    largest_inner: Float[Array, ""]
    largest_outer: Float[Array, ""]


def condensation(
    problem: Any,
    network: Any,
    *,
    least_cosine: Any = 0.95,
    negligible: Any = 0.01,
    oriented: bool = False,
) -> Condensation:
    r"""Alignment, participation ratio, number of directions and largest neuron.

    In a zero network alignments are 0, and the largest neuron is the first.

    Args:
        problem: Data and loss.
        network: A network with one hidden layer.
        least_cosine: See `directions`.
        negligible: See `directions`.
        oriented: See `directions`.

    Returns:
        The numbers.

    Raises:
        ValueError: If the network has no single layer of neurons, or a threshold is
            out of its range.
        TypeError: If the problem is an equation.

    Example:
        >>> import plateaux as px
        >>> problem = px.Problem([[-1.0], [1.0]], [-2.0, 2.0])
        >>> network = px.TwoLayer([[3.0], [-0.1], [0.0]], [0.0] * 3, [3.0, 0.1, 0.1])
        >>> found = condensation(problem, network)
        >>> print(found.largest, found.largest_inner, found.num_directions)
        0 3.0 1
        >>> print(f"{found.alignment:.3f} {found.weighted_alignment:.3f}")
        0.667 1.000
    """
    amplitude = amplitudes(problem, network)
    cosines = jnp.abs(alignment(problem, network))
    weight = relative(amplitude.inner) * relative(amplitude.outer)
    total = jnp.sum(weight)
    largest = jnp.argmax(amplitude.inner)
    found = directions(
        problem,
        network,
        least_cosine=least_cosine,
        negligible=negligible,
        oriented=oriented,
    )
    return Condensation(
        alignment=jnp.mean(cosines),
        weighted_alignment=weight @ cosines / jnp.where(total == 0, 1, total),
        participation=participation_ratio(problem, network),
        num_directions=found.count,
        largest=largest,
        largest_inner=amplitude.inner[largest],
        largest_outer=amplitude.outer[largest],
    )


def leading_vector(problem: Any, network: Any) -> Float[Array, " D"]:
    r"""The vector z = −Σ_k q_k ∂ℓ/∂f(0, y_k) x̃_k, to which small input weights turn.

    With the squared loss and its mean over data z = E[f* x̃]; ‖z‖ = λ is the rate at
    which small neurons grow (times φ'(0)).

    Args:
        problem: Data and loss, with one target a datum.
        network: A network with one hidden layer; only whether it has biases counts.

    Returns:
        The vector, the bias's component last; zero if the data have no linear part.

    Raises:
        ValueError: If the network has no single layer of neurons.
        TypeError: If the problem is an equation.

    Example:
        >>> import plateaux as px
        >>> problem = px.Problem([[-1.0], [1.0]], [-1.0, 3.0])
        >>> network = px.TwoLayer(w=[[0.1]], b=[0.0], c=[0.1], activation="tanh")
        >>> print(leading_vector(problem, network))
        [2. 1.]

    Reference: Luo, Xu, Ma & Zhang (2021), JMLR 22(71), 1-47, for condensation.
    """
    x = inputs(problem, neurons(problem, network).bias)
    slope = jax.vmap(problem.loss.gradient)(jnp.zeros_like(problem.y), problem.y)
    return -(problem.sample_weights * slope) @ x


def projection(problem: Any, network: Any) -> Float[Array, " n"]:
    r"""ẑ·v_i, the component of every neuron's input weights along ẑ = z/‖z‖.

    With c_i the coordinates in which the first stage is a hyperbolic flow: c_i + ẑ·v_i
    grows like e^{λt}, c_i − ẑ·v_i decays like e^{−λt} (for φ'(0) = 1).

    Args:
        problem: Data and loss.
        network: A network with one hidden layer.

    Returns:
        One number a neuron, in units of its weights; 0 if z is 0.

    Raises:
        ValueError: If the network has no single layer of neurons.
        TypeError: If the problem is an equation.

    Example:
        >>> import plateaux as px
        >>> problem = px.Problem([[-1.0], [1.0]], [-2.0, 2.0])
        >>> network = px.TwoLayer([[3.0], [-1.0]], [4.0, 1.0], [1.0, 1.0])
        >>> print(projection(problem, network))
        [ 3. -1.]
    """
    return neurons(problem, network).v @ unit_rows(leading_vector(problem, network))


def alignment(problem: Any, network: Any) -> Float[Array, " n"]:
    r"""cos(v_i, z) of every neuron, between −1 and 1.

    A neuron without input weights, or z = 0, has cosine 0 by convention.

    Args:
        problem: Data and loss.
        network: A network with one hidden layer.

    Returns:
        One cosine a neuron.

    Raises:
        ValueError: If the network has no single layer of neurons.
        TypeError: If the problem is an equation.

    Example:
        >>> import plateaux as px
        >>> problem = px.Problem([[-1.0], [1.0]], [-2.0, 2.0])
        >>> network = px.TwoLayer([[3.0], [-1.0]], [4.0, 0.0], [1.0, 1.0])
        >>> print(alignment(problem, network).round(6))
        [ 0.6 -1. ]

    Reference: Luo, Xu, Ma & Zhang (2021), JMLR 22(71), 1-47, for condensation.
    """
    z = unit_rows(leading_vector(problem, network))
    return jnp.clip(unit_rows(neurons(problem, network).v) @ z, -1, 1)


def participation_ratio(problem: Any, network: Any) -> Float[Array, ""]:
    r"""(Σ_i ‖v_i‖²)²/Σ_i ‖v_i‖⁴: how many neurons share the input weights.

    ‖v_i‖ is the Euclidean length of the input weights, bias included. Between 1 (one
    neuron has all) and n (all equally long); independent of the scale. 0 for a network
    whose input weights are all zero, by convention.

    Args:
        problem: Data and loss, only checked.
        network: A network with one hidden layer.

    Returns:
        The ratio.

    Raises:
        ValueError: If the network has no single layer of neurons.
        TypeError: If the problem is an equation.

    Example:
        >>> import plateaux as px
        >>> problem = px.Problem([[-1.0], [1.0]], [-2.0, 2.0])
        >>> network = px.TwoLayer([[2.0], [0.0]], [0.0, 1.0], [1.0, 1.0])
        >>> print(f"{participation_ratio(problem, network):.4f}")  # 25/17
        1.4706

    Reference: after Chen, Luo & Wang (2024), arXiv:2410.20119.
    """
    share = relative(lengths(neurons(problem, network).v)) ** 2
    total = jnp.sum(share**2)
    return jnp.sum(share) ** 2 / jnp.where(total == 0, jnp.ones_like(total), total)


def amplitudes(problem: Any, network: Any) -> Amplitudes:
    r"""Sizes ‖v_i‖ and |c_i| of every neuron's input weights and outer weight.

    Args:
        problem: Data and loss, only checked.
        network: A network with one hidden layer.

    Returns:
        The sizes, in units of the weights.

    Raises:
        ValueError: If the network has no single layer of neurons.
        TypeError: If the problem is an equation.

    Example:
        >>> import plateaux as px
        >>> problem = px.Problem([[-1.0], [1.0]], [-2.0, 2.0])
        >>> print(*amplitudes(problem, px.TwoLayer(w=[[3.0]], b=[-4.0], c=[-2.0])))
        [5.] [2.]

    Reference: after Chen, Luo & Wang (2024), arXiv:2410.20119.
    """
    v, c, _ = neurons(problem, network)
    return Amplitudes(lengths(v), jnp.abs(c))
