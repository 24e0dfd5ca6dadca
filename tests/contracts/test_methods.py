"""What every way of training keeps, for every network: walked by name."""

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

import plateaux as px

from ..closeness import assert_close, lane
from ..registry import IN_DIM, METHODS, NETWORKS

CASES = [("two_layer", method) for method in METHODS] + [
    (network, "gradient_descent") for network in NETWORKS if network != "two_layer"
]
# Other kinds of deep network share their training with the plain one.
OTHERS = ("mlp_vector", "mlp_residual", "mlp_normalised")
case = pytest.mark.parametrize(
    ("network", "method"),
    [
        pytest.param(*names, marks=pytest.mark.slow) if names[0] in OTHERS else names
        for names in CASES
    ],
)


def setting(network, method, key, dtype=jnp.float64):
    kx, ky, kn = jax.random.split(key, 3)
    networks = jax.vmap(lambda k: NETWORKS[network](k, dtype))(jax.random.split(kn, 3))
    one = lane(networks, 0)
    targets = (8,) if one.out_dim is None else (8, one.out_dim)
    problem = px.Problem(
        jax.random.normal(kx, (8, IN_DIM)).astype(dtype),
        jax.random.normal(ky, targets).astype(dtype),
    )
    run = lambda net: px.descend(
        problem, net, METHODS[method], num_steps=40, save=px.every(13)
    )
    return networks, run


@case
def test_a_batch_gives_what_a_loop_gives(network, method, key):
    networks, run = setting(network, method, key)
    together = jax.vmap(run)(networks)
    for i in range(3):
        alone = run(lane(networks, i))
        # Another batch shape rounds differently; 40 steps carry it on.
        assert_close(lane(together, i), alone, ulps=1e5)


@pytest.mark.parametrize("method", METHODS)
def test_jit_changes_nothing(method, key):
    networks, run = setting("two_layer", method, key)
    one = lane(networks, 0)
    assert_close(eqx.filter_jit(run)(one), run(one), ulps=1e5)


@case
def test_precision_is_kept(network, method, key):
    networks, run = setting(network, method, key, jnp.float32)
    shapes = jax.eval_shape(jax.vmap(run), networks)
    for leaf in jax.tree.leaves(shapes):
        assert leaf.dtype in (jnp.float32, jnp.int32, jnp.bool_)


@pytest.mark.parametrize("method", METHODS)
def test_training_lowers_the_loss(method, key):
    networks, run = setting("two_layer", method, key)
    runs = jax.vmap(run)(networks)
    assert jnp.all(runs.losses[:, -1] < runs.losses[:, 0])
    assert jnp.all(runs.outcome == px.Outcome.completed)


def test_a_new_network_of_the_same_shape_compiles_nothing(key):
    networks, run = setting("two_layer", "gradient_descent", key)
    traced = eqx.filter_jit(eqx.debug.assert_max_traces(run, max_traces=1))
    for i in range(3):
        traced(lane(networks, i))
