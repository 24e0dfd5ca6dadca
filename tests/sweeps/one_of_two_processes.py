"""Run by test_devices.py: one of the processes of jax.distributed."""

import sys

import jax
import numpy as np

import plateaux as px
from plateaux.sweeps import SweepError, SweepSpec, over_devices, sweep


def main():
    jax.config.update("jax_enable_x64", True)
    address, number, folder = sys.argv[1:]
    jax.distributed.initialize(address, num_processes=2, process_id=int(number))
    assert (jax.process_count(), jax.device_count(), jax.local_device_count()) == (
        2,
        2,
        1,
    )

    x = np.linspace(-1, 1, 9)[:, None]
    problem = px.Problem(x, np.sin(3 * x[:, 0]))
    draw = lambda key: px.networks.he(key, width=3, in_dim=1)
    keys = lambda: jax.random.split(jax.random.key(0), 6)
    networks = jax.jit(lambda: jax.vmap(draw)(keys()))()

    def losses(networks):
        one = lambda network: px.descend(
            problem, network, px.gradient_descent(0.05), num_steps=100, watch=False
        )
        return jax.vmap(lambda network: one(network).losses)(networks)

    # one program over both processes; each holds its own lanes
    found = over_devices(losses)(networks)
    assert found.shape == (6, 101)
    (shard,) = found.addressable_shards
    assert shard.index[0] == slice(3 * int(number), 3 * int(number) + 3)
    own = jax.tree.map(lambda leaf: leaf[shard.index[0]], networks)
    np.testing.assert_array_equal(shard.data, jax.jit(losses)(own))

    spec = SweepSpec.from_toml(sys.stdin.read())
    try:
        sweep(spec)
    except SweepError as error:
        assert "must have a folder" in str(error)  # noqa: PT017
    else:
        raise AssertionError("a sweep in the memory of two processes")
    assert bool(sweep(spec, folder)["done"].all())


if __name__ == "__main__":
    main()
