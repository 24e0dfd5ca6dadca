"""What every way of training keeps, for every network: walked by name."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import plateaux as px

from ..closeness import assert_close, lane
from ..registry import IN_DIM, METHODS, NETWORKS
from ..variants import most_slow

CASES = [("two_layer", method) for method in METHODS] + [
    (network, "gradient_descent") for network in NETWORKS if network != "two_layer"
]
# Other kinds of deep network share their training with the plain one.
OTHERS = {
    (name, "gradient_descent")
    for name in ("mlp_vector", "mlp_residual", "mlp_normalised")
}
# Seen elsewhere in a batch, or alone against a loop by hand.
SEEN = {("mlp_embedded", "gradient_descent"), ("two_layer_affine", "gradient_descent")}
SEEN |= {("two_layer", "momentum"), ("two_layer", "rmsprop")}


def cases(slow):
    return pytest.mark.parametrize(
        ("network", "method"), most_slow(CASES, set(CASES) - slow)
    )


def setting(network, method, dtype=np.float64):
    """Three networks, filled by NumPy, and what trains one of them."""
    draw = lambda key: NETWORKS[network](key, dtype)
    shape = jax.eval_shape(draw, jax.eval_shape(lambda: jax.random.key(0)))
    rng = np.random.default_rng(0)
    normal = lambda *shape: rng.normal(size=shape)
    # Line searches across the kinks of larger networks amplify rounding.
    fill = lambda leaf: jnp.asarray(0.6 * normal(3, *leaf.shape), dtype)
    networks = jax.tree.map(fill, shape)
    targets = (8,) if shape.out_dim is None else (8, shape.out_dim)
    data = (normal(8, IN_DIM), normal(*targets))
    problem = px.Problem(*(array.astype(dtype) for array in data))
    # L-BFGS amplifies it by 1e2 in 12 steps, by 1e6 in 20.
    steps = 12 if method == "lbfgs" else 40
    run = lambda net: px.descend(
        problem, net, METHODS[method], num_steps=steps, save=px.every(steps // 3)
    )
    return networks, run


@cases(slow=OTHERS | SEEN)
def test_a_batch_gives_what_a_loop_gives(network, method):
    networks, run = setting(network, method)
    together = jax.vmap(run)(networks)
    for i in range(3):
        alone = run(lane(networks, i))
        # Another batch shape rounds differently; the steps carry it on.
        assert_close(lane(together, i), alone, ulps=1e5)


@pytest.mark.parametrize("method", METHODS)
def test_training_lowers_the_loss(method):
    networks, run = setting("two_layer", method)
    runs = jax.vmap(run)(networks)
    losses = np.asarray(runs.losses)
    assert np.all(losses[:, -1] < losses[:, 0])
    assert np.all(runs.outcome == px.Outcome.completed)


@pytest.mark.parametrize("method", most_slow(METHODS, ["gradient_descent"]))
def test_jit_changes_nothing_and_takes_new_networks(method):
    """One program for all networks of a shape."""
    networks, run = setting("two_layer", method)
    traced = eqx.filter_jit(eqx.debug.assert_max_traces(run, max_traces=1))
    first, *_ = (traced(lane(networks, i)) for i in range(3))
    assert_close(first, run(lane(networks, 0)), ulps=1e5)


@cases(slow=OTHERS)
def test_precision_is_kept(network, method):
    networks, run = setting(network, method, np.float32)
    shapes = jax.eval_shape(jax.vmap(run), networks)
    for leaf in jax.tree.leaves(shapes):
        assert leaf.dtype in (jnp.float32, jnp.int32, jnp.bool_)
