"""Run by test_devices.py in a process with two virtual CPU devices."""

import sys

import equinox as eqx
import jax
import numpy as np

import plateaux as px
from plateaux.sweeps import SweepSpec, over_devices, sweep


def main():
    jax.config.update("jax_enable_x64", True)
    assert jax.device_count() == 2

    x = np.linspace(-1, 1, 9)[:, None]
    problem = px.Problem(x, np.sin(3 * x[:, 0]))
    draw = lambda key: px.networks.he(key, width=3, in_dim=1)
    keys = lambda: jax.random.split(jax.random.key(0), 6)
    networks = jax.jit(lambda: jax.vmap(draw)(keys()))()
    half = lambda start: jax.tree.map(lambda leaf: leaf[start : start + 3], networks)

    def descend(problem, networks):
        one = lambda network: px.descend(
            problem,
            network,
            px.gradient_descent(0.05),
            num_steps=300,
            watch=sys.argv[1] == "flow",  # takes longer to compile
        )
        return eqx.filter_vmap(one)(networks)

    def same(found, first, second):
        """Whether all arrays are those of the two halves, one after the other."""
        leaves = [jax.tree.leaves(eqx.filter(t, eqx.is_array)) for t in (first, second)]
        for leaf, *halves in zip(
            jax.tree.leaves(eqx.filter(found, eqx.is_array)), *leaves, strict=True
        ):
            assert len(leaf.sharding.device_set) == 2
            np.testing.assert_array_equal(leaf, np.concatenate(halves))

    # gradient descent: the bits of one device with a batch of the same shape
    spread = eqx.filter_jit(over_devices(descend, in_axes=(None, 0)))
    compiled = spread.lower(problem, networks).compile()
    alone = eqx.filter_jit(descend)
    runs = compiled(problem, networks)
    same(runs, alone(problem, half(0)), alone(problem, half(3)))
    assert (runs.outcome == px.Outcome.completed).all()

    # and no word between the devices
    text = compiled.compiled.as_text()
    assert "while" in text
    for word in (
        "all-reduce",
        "all-gather",
        "all-to-all",
        "collective",
        "send",
        "recv",
    ):
        assert word not in text, word

    if sys.argv[1] == "flow":  # whose lanes need unequal numbers of steps
        flow = lambda networks: jax.vmap(
            lambda network: px.flow(problem, network, t1=5.0, max_events=32).losses
        )(networks)
        found = over_devices(flow)(networks)
        same(found, jax.jit(flow)(half(0)), jax.jit(flow)(half(3)))
        return

    # a sweep: chunks take turns on the devices, and the folder is as of one device
    sweep(SweepSpec.from_toml(sys.stdin.read()), sys.argv[1], workers=2)


if __name__ == "__main__":
    main()
