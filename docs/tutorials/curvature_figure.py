"""Draws curvature.png: vanishing norms and spectra, and plateaus left along updates.

python docs/tutorials/curvature_figure.py
"""

import functools as ft
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

import plateaux as px

OUT = Path(__file__).with_name("curvature.png")
WIDTH, DEPTHS = 8, (1, 2, 4, 8, 16, 32, 64)
QUARTILES = (0.25, 0.5, 0.75)
STEP, LEVEL = 0.01, 0.125
curvature = px.diagnostics.curvature


def one_datum():
    """x = y = 1; made when it is used, after the precision is chosen."""
    return px.Problem([[1.0]], [1.0])


def chains(depth, lanes):
    """Uniform weights of variance 1, a lane each."""
    keys = jax.random.split(jax.random.key(2), lanes)
    return jax.vmap(lambda key: px.networks.chain(key, depth=depth))(keys)


def norms(lanes=2000):
    """log ‖h_L‖/‖x‖ of He's ReLU networks that are alive, and the quantiles."""

    def layer(h, key):
        w, _ = px.networks.SCHEMES["he"](key, fan_in=WIDTH, fan_out=WIDTH)
        h = jax.nn.relu(w @ h)
        return h, jnp.log(jnp.linalg.norm(h))

    def one(key):
        start = jnp.ones(WIDTH) / WIDTH**0.5
        return jax.lax.scan(layer, start, jax.random.split(key, DEPTHS[-1]))[1]

    logs = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), lanes))
    logs = np.asarray(logs)[:, np.array(DEPTHS) - 1]
    rows = [row[np.isfinite(row)] for row in logs.T]
    bands = [px.statistics.quantile_band(row, QUARTILES) for row in rows]
    law = [px.statistics.relu_law(WIDTH, d).quantile(QUARTILES) / 2 for d in DEPTHS]
    parts = (np.transpose(part) for part in zip(*bands, strict=True))
    return px.statistics.Interval(*parts), law


def spectra(depth, lanes=200):
    """All eigenvalues of all chains of one depth."""
    look = lambda chain: jnp.linalg.eigvalsh(curvature.hessian(one_datum(), chain))
    return np.ravel(jax.vmap(look)(chains(depth, lanes)))


def run(network, optimizer, num_steps=2000, **options):
    """A run in steps, also of plain descent."""
    found = px.descend(one_datum(), network, optimizer, num_steps=num_steps, **options)
    return eqx.tree_at(lambda r: r.times, found, found.steps.astype(float))


def survival(optimizer, depth=32, lanes=128):
    """Survival of the plateau of the deep chains."""
    one = ft.partial(run, optimizer=optimizer, save=px.every(1))
    runs = jax.vmap(one)(chains(depth, lanes))
    left = px.stages.escape(runs, one_datum(), criterion="loss", level=LEVEL)
    return px.statistics.escape_summary(left).survival


def along(optimizer, depth=16, lane=0):
    """Times, both ends of the spectrum and the curvature along every update."""
    network = jax.tree.map(lambda leaf: leaf[lane], chains(depth, 64))
    keep = {"network": lambda problem, network: network}
    found = run(network, optimizer, 200, save=px.log_spaced(100), record=keep)
    path = found.saved["network"]
    ends = curvature.curvature_along(one_datum(), path)
    updates = curvature.curvature_of_steps(one_datum(), path)
    return found.times[:-1], ends.largest[:-1], ends.smallest[:-1], updates


def main():
    """Run, draw, save."""
    import matplotlib.pyplot as plt

    jax.config.update("jax_enable_x64", True)
    adam = optax.adam(STEP, b2=0.99, eps=1e-30)
    optimizers = {
        "gradient descent": px.gradient_descent(STEP),
        "momentum 0.9": optax.sgd(STEP, momentum=0.9),
        "sign descent": optax.sign_sgd(STEP),
        "Adam": adam,
    }
    fig, axes = plt.subplots(2, 2, figsize=(13, 9), layout="constrained")
    band, law = norms()
    px.plot.depth_fan(
        DEPTHS, band, QUARTILES, law=np.transpose(law), log=False, ax=axes[0, 0]
    )
    axes[0, 0].set_ylabel(f"log(‖h_L‖/‖x‖), ReLU, {WIDTH} neurons a layer")
    depths = (4, 8, 16, 32, 64)
    names = [f"L = {depth}" for depth in depths]
    px.plot.spectral_ridges([spectra(d) for d in depths], names, ax=axes[0, 1])
    curves = {name: survival(each) for name, each in optimizers.items()}
    px.plot.survival_curves(curves, time_unit="step", ax=axes[1, 0])
    axes[1, 0].legend(loc="lower left")
    axes[1, 0].set_ylabel("share of chains, L = 32, still on the plateau")
    px.plot.update_curvature(
        *along(adam), time_unit="step of Adam, L = 16", ax=axes[1, 1]
    )
    fig.savefig(OUT, dpi=70)


if __name__ == "__main__":
    main()
