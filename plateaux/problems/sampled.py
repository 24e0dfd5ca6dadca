r"""Synthetic targets on random inputs, each a function that returns a `Problem`.

They take `seed`, an integer or a `jax.random` key. Random numbers are drawn by NumPy
in double precision and rounded to the dtype, so that a seed means the same data in
both precisions.
"""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np

from .. import _checks
from ..networks.network import Network, outputs
from ..networks.two_layer import TwoLayer
from . import _prepare
from .problem import Problem


def teacher_network(
    *,
    width: Any = 3,
    in_dim: Any = 5,
    activation: Any = "relu",
    seed: Any = 0,
    dtype: Any = None,
) -> TwoLayer:
    """The soft committee machine f(x) = Σ_i φ(w_i·x) with ‖w_i‖ = 1.

    Args:
        width: Number of hidden neurons.
        in_dim: Number of inputs d.
        activation: φ, a name or an `Activation`.
        seed: An integer or a `jax.random` key; `teacher_student` of the same seed
            has this teacher.
        dtype: Of the parameters.

    Returns:
        The teacher: directions w_i uniform on the sphere, b_i = 0, c_i = 1.

    Raises:
        ValueError: If an argument is out of range or a name is unknown.
        TypeError: If an argument is of the wrong kind.

    Example:
        >>> norms = jnp.linalg.norm(teacher_network(width=2, in_dim=4).w, axis=1)
        >>> print(jnp.round(norms, 6))
        [1. 1.]

    Reference: Saad & Solla (1995), Phys. Rev. E 52, 4225.
    """
    width, in_dim = _checks.count("width", width), _checks.count("in_dim", in_dim)
    dtype = _prepare.float_dtype(dtype)
    w = _prepare.generator(seed, stream=1).standard_normal((width, in_dim))
    w = w / np.linalg.norm(w, axis=1, keepdims=True)
    parameters = (w, np.zeros(width), np.ones(width))
    return TwoLayer(*(p.astype(dtype) for p in parameters), activation=activation)


def teacher_student(
    *,
    num_data: Any = 100,
    in_dim: Any = 5,
    teacher_width: Any = 3,
    activation: Any = "relu",
    teacher: Any = None,
    seed: Any = 0,
    dtype: Any = None,
    normalisation: Any = "mean",
) -> Problem:
    """Target y = teacher(x) on Gaussian inputs x ~ N(0, I).

    Args:
        num_data: Number of data K.
        in_dim: Number of inputs d.
        teacher_width: Hidden neurons of the drawn teacher, see `teacher_network`.
        activation: The drawn teacher's activation.
        teacher: A network to use in place of a drawn one; it then decides the number
            of inputs and outputs, and `teacher_width` and `activation` are not used.
        seed: An integer or a `jax.random` key.
        dtype: Of the data.
        normalisation: "mean" or "sum".

    Returns:
        The problem, squared loss.

    Raises:
        ValueError: If an argument is out of range or a name is unknown.
        TypeError: If an argument is of the wrong kind.

    Example:
        >>> from plateaux.problems import loss
        >>> print(loss(teacher_student(seed=4), teacher_network(seed=4)))
        0.0

    Reference: Saad & Solla (1995), Phys. Rev. E 52, 4225.
    """
    num_data = _checks.count("num_data", num_data)
    dtype = _prepare.float_dtype(dtype)
    if teacher is None:
        teacher = teacher_network(
            width=teacher_width,
            in_dim=in_dim,
            activation=activation,
            seed=seed,
            dtype=dtype,
        )
    if not isinstance(teacher, Network):
        raise TypeError(f"Argument `teacher` must be a network, but is {teacher!r}.")
    x = _prepare.generator(seed).standard_normal((num_data, teacher.in_dim))
    x = jnp.asarray(x, dtype)
    return Problem(
        x, outputs(teacher, x), normalisation=normalisation, name="teacher_student"
    )


def single_index(
    *,
    coefficients: Any = (0.0, 0.0, 1.0),
    basis: Any = "hermite",
    direction: Any = None,
    num_data: Any = 200,
    in_dim: Any = 10,
    seed: Any = 0,
    dtype: Any = None,
    normalisation: Any = "mean",
) -> Problem:
    r"""Target y = g(u·x) with one hidden direction u, on Gaussian inputs x ~ N(0, I).

    The link is g(z) = Σ_k a_k h_k(z), with the Hermite polynomials h_k = He_k/√k!
    (orthonormal under the Gaussian: h_2(z) = (z² − 1)/√2), or g(z) = Σ_k a_k z^k.
    The smallest k ≥ 1 with a_k ≠ 0 of the Hermite series is the information exponent.

    Args:
        coefficients: a_0, a_1, ….
        basis: "hermite" or "polynomial".
        direction: u, d numbers, scaled to length one; None is (1, 0, …, 0), which for
            Gaussian inputs is as good as any.
        num_data: Number of data K.
        in_dim: Number of inputs d.
        seed: An integer or a `jax.random` key.
        dtype: Of the data.
        normalisation: "mean" or "sum".

    Returns:
        The problem, squared loss.

    Raises:
        ValueError: If an argument is out of range or a name is unknown.
        TypeError: If an argument is of the wrong kind.

    Example:
        >>> problem = single_index(coefficients=[0.0, 1.0], num_data=4)
        >>> bool(jnp.all(problem.y == problem.x[:, 0]))
        True

    Reference: Ben Arous, Gheissari & Jagannath (2021), JMLR 22(106).
    """
    num_data = _checks.count("num_data", num_data)
    in_dim = _checks.count("in_dim", in_dim)
    coefficients = _prepare.numbers("coefficients", coefficients)
    link = LINKS[_checks.known("basis", basis, LINKS)]
    dtype = _prepare.float_dtype(dtype)
    u = _unit_direction(direction, in_dim)
    x = _prepare.generator(seed).standard_normal((num_data, in_dim)).astype(dtype)
    y = link(x.astype(np.float64) @ u, coefficients)
    return _prepare.to_problem(
        x, y, dtype, normalisation=normalisation, name="single_index"
    )


def spiral(
    *,
    num_per_class: Any = 50,
    num_classes: Any = 3,
    turns: Any = 0.75,
    noise: Any = 0.1,
    seed: Any = 0,
    loss: Any = "cross_entropy",
    dtype: Any = None,
    normalisation: Any = "mean",
) -> Problem:
    """Classes on the arms of a spiral, as one-hot rows.

    Datum i = 1 … N of class j lies at radius r = i/N and angle
    2π(j/classes + turns·r) + noise·ε, with ε ~ N(0, 1).

    Args:
        num_per_class: Data N of one class; K = N·num_classes, class after class.
        num_classes: Number of arms, at least 2.
        turns: Turns of an arm around the origin.
        noise: Standard deviation of the angle, in radians, 0 or more.
        seed: An integer or a `jax.random` key.
        loss: "cross_entropy", or "squared" on the one-hot rows.
        dtype: Of the data.
        normalisation: "mean" or "sum".

    Returns:
        The problem, two inputs, one output a class.

    Raises:
        ValueError: If an argument is out of range or a name is unknown.
        TypeError: If an argument is of the wrong kind.

    Example:
        >>> problem = spiral(num_per_class=2, noise=0.0, turns=1.0)
        >>> print(problem.y[:, 1], jnp.round(problem.x[1], 6))
        [0. 0. 1. 1. 0. 0.] [ 1. -0.]
    """
    num_per_class = _checks.count("num_per_class", num_per_class)
    num_classes = _checks.count("num_classes", num_classes, at_least=2)
    turns, noise = _prepare.number("turns", turns), _prepare.number("noise", noise)
    if noise < 0:
        raise ValueError(f"Argument `noise` must be 0 or more, but is {noise}.")
    dtype = _prepare.float_dtype(dtype)
    labels = np.repeat(np.arange(num_classes), num_per_class)
    radius = np.tile(np.arange(1, num_per_class + 1) / num_per_class, num_classes)
    angle = 2 * np.pi * (labels / num_classes + turns * radius)
    angle = angle + noise * _prepare.generator(seed).standard_normal(labels.shape)
    x = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    y = _prepare.one_hot(labels, num_classes)
    return _prepare.to_problem(
        x, y, dtype, loss=loss, normalisation=normalisation, name="spiral"
    )


def _unit_direction(direction: Any, in_dim: int) -> np.ndarray:
    if direction is None:
        return np.eye(in_dim)[0]
    u = np.array(_prepare.numbers("direction", direction))
    if u.shape != (in_dim,) or not np.any(u):
        raise ValueError(
            f"Argument `direction` must be {in_dim} numbers, not all zero, but is "
            f"{direction!r}."
        )
    return u / np.linalg.norm(u)


def _hermite(z: np.ndarray, coefficients: tuple[float, ...]) -> np.ndarray:
    # NumPy's He_k has norm √k! under the Gaussian; h_k has norm 1.
    norms = [math.sqrt(math.factorial(k)) for k in range(len(coefficients))]
    return np.polynomial.hermite_e.hermeval(z, np.divide(coefficients, norms))


def _power_series(z: np.ndarray, coefficients: tuple[float, ...]) -> np.ndarray:
    return np.polynomial.polynomial.polyval(z, coefficients)


LINKS = {"hermite": _hermite, "polynomial": _power_series}
