r"""Taylor series of gradient flow inside a mode.

Inside a mode the flow of a two-layer network with a piecewise linear activation is a
polynomial (or, for other losses than the squared one, analytic) differential equation,
so the Taylor coefficients of its solution follow from one another: with u_i = c_i v_i,

    f_k = Σ_i s_ik x̃_k·u_i (+ x̃_k·p),   e_k = q_k ∂ℓ_k/∂f,   g_i = Σ_k s_ik e_k x̃_k,
    v̇_i = −P_i(c_i g_i),   ċ_i = −v_i·g_i,   ṗ = −Σ_k e_k x̃_k,

and products become Cauchy products. One order costs as much as one evaluation of the
gradient; the series is step and dense output at once.

Reference: Jorba & Zou (2005), "A software package for the numerical integration of
ODEs by means of high-order Taylor methods", Experimental Mathematics 14, 99-117.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..problems.problem import Problem
from .modes import Basis, Data, Parameters

_WRITE_OUT = 4  # inputs, the constant one included


class Series(NamedTuple):
    """Taylor coefficients of one step, the leading axis counts powers of time.

    Attributes:
        parameters: Coefficients 0 … N+1 of v, c and p.
        g: Coefficients 0 … N of g_i.
        e: Coefficients 0 … N of e_k.
    """

    parameters: Parameters
    g: Float[Array, "j n D"]
    e: Float[Array, "j K"]


def taylor_series(
    problem: Problem,
    data: Data,
    slope: Float[Array, "n K"],
    sliding: Basis,
    start: Parameters,
    order: int,
) -> Series:
    """Taylor coefficients of the flow in the present mode.

    Args:
        problem: Data and loss.
        data: Inputs and slopes, for the vector field.
        slope: s_ik.
        sliding: Basis of the data each neuron slides along.
        start: Parameters now.
        order: N; coefficient N+1 of the parameters measures the truncation.

    Returns:
        The series.
    """
    size = order + 2
    num, dim = start.v.shape
    num_data = data.x1.shape[0]
    # Neurons and data last: loops over the few inputs would not vectorise. Backward
    # rows hold coefficient j in row size−1−j, so that a product is one window.
    x, slope_t = data.x1.T, slope.T
    room = lambda *shape: jnp.zeros(shape, start.v.dtype)
    first = _Rows(
        v=put(room(size, dim, num), start.v.T, 0),
        v_back=put(room(2 * size, dim, num), start.v.T, size - 1),
        c=put(room(size, num), start.c, 0),
        p=None if start.p is None else put(room(size, dim), start.p, 0),
        f=room(size, num_data),
        r=room(size, num_data),
        g_back=room(2 * size, dim, num),
    )

    def next_order(j, rows: _Rows) -> _Rows:
        window = lambda back: jax.lax.dynamic_slice_in_dim(back, size - 1 - j, size, 0)
        u = jnp.sum(rows.c[:, None, :] * window(rows.v_back), axis=0)
        f = jnp.sum(slope * _products(u, x), axis=0)
        if rows.p is not None:
            f = f + rows.p[j] @ x
        f = put(rows.f, f, j)
        r = problem.loss.gradient_series(f, rows.r, problem.y, j)
        e = problem.sample_weights * r
        g_back = put(rows.g_back, _sums(slope_t, e, x), size - 1 - j)
        g = window(g_back)
        v = -sliding.project_out(jnp.sum(rows.c[:, None, :] * g, axis=0).T).T / (j + 1)
        c = -jnp.sum(rows.v * g, axis=(0, 1)) / (j + 1)
        return _Rows(
            v=put(rows.v, v, j + 1),
            v_back=put(rows.v_back, v, size - 2 - j),
            c=put(rows.c, c, j + 1),
            p=None if rows.p is None else put(rows.p, -(x @ e) / (j + 1), j + 1),
            f=f,
            r=put(rows.r, r, j),
            g_back=g_back,
        )

    rows = jax.lax.fori_loop(0, order + 1, next_order, first)
    e = problem.sample_weights[None, :] * rows.r[:-1]
    g = rows.g_back[size - 1 : 0 : -1].swapaxes(1, 2)
    return Series(Parameters(rows.v.swapaxes(1, 2), rows.c, rows.p), g, e)


class _Rows(NamedTuple):
    """Coefficients by order, zero where not yet known."""

    v: Float[Array, "j D n"]
    v_back: Float[Array, "2*j D n"]
    c: Float[Array, "j n"]
    p: Float[Array, "j D"] | None
    f: Float[Array, "j K"]
    r: Float[Array, "j K"]
    g_back: Float[Array, "2*j D n"]


def put(rows: Array, row: Array, j) -> Array:
    """The rows with row j replaced."""
    return jax.lax.dynamic_update_index_in_dim(rows, row, j, 0)


def _products(u: Float[Array, "D n"], x: Float[Array, "D K"]) -> Float[Array, "n K"]:
    """u_i·x̃_k. Written out for few inputs: such a product is no work for a dot."""
    if x.shape[0] > _WRITE_OUT:
        return u.T @ x
    return sum(
        (u[d][:, None] * x[d][None, :] for d in range(1, x.shape[0])),
        start=u[0][:, None] * x[0][None, :],
    )


def _sums(slope_t: Float[Array, "K n"], e: Float[Array, " K"], x) -> Array:
    """Σ_k s_ik e_k x̃_k by inputs and neurons."""
    if x.shape[0] > _WRITE_OUT:
        return (x * e[None, :]) @ slope_t
    return jnp.stack([jnp.sum(slope_t * (e * row)[:, None], axis=0) for row in x])


def inner_products(vectors: Float[Array, "*j n D"], x1: Float[Array, "K D"]):
    """v_i·x̃_k. Written out for few inputs: such a product is no work for a dot."""
    if x1.shape[1] > _WRITE_OUT:
        return vectors @ x1.T
    lift = lambda row: row.reshape(*[1] * (vectors.ndim - 1), -1)
    total = vectors[..., 0, None] * lift(x1[:, 0])
    for d in range(1, x1.shape[1]):
        total = total + vectors[..., d, None] * lift(x1[:, d])
    return total


def weighted_sums(
    slope: Float[Array, "n K"], e: Float[Array, " K"], x1: Float[Array, "K D"]
) -> Float[Array, "n D"]:
    """g_i = Σ_k s_ik e_k x̃_k."""
    if x1.shape[1] > _WRITE_OUT:
        return slope @ (e[:, None] * x1)
    columns = [slope * (e * x1[:, d])[None, :] for d in range(x1.shape[1])]
    return jnp.stack([jnp.sum(column, axis=1) for column in columns], axis=1)
