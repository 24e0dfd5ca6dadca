"""Deep narrow networks: targets, starts, architectures, training, and what is told."""

from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from escape_depth import in_steps, line, row

import plateaux as px

NUM_DATA, SHARES = 128, {"3/4": 0.75, "1/2": 0.5}
EPS = 1e-8  # of Adam and RMSprop; their gradients here are far larger
OPTIMIZERS = {
    "gradient descent": lambda h: px.gradient_descent(h),
    "momentum 0.9": lambda h: optax.sgd(h, momentum=0.9),
    "normalised descent": lambda h: px.dynamics.normalised_descent(h),
    "sign descent": lambda h: optax.sign_sgd(h),
    "RMSprop": lambda h: optax.rmsprop(h, decay=0.99, eps=EPS, eps_in_sqrt=False),
    "Adam": lambda h: optax.adam(h, eps=EPS),
}
WIDTH = 8  # of the architectures
SKIPS = {"kind": "residual", "initialiser": "lecun", "residual_scale": 1.0}
# name -> options of px.networks.mlp at depth L; residual layers are h + relu(Wh) with
# Var W = 1/(dL), all others as they come
ARCHITECTURES = {
    "plain": lambda depth: {},
    "plain tanh": lambda depth: {"activation": "tanh", "initialiser": "lecun"},
    "residual": lambda depth: SKIPS | {"hidden_scale": depth**-0.5},
    "layer norm": lambda depth: {"kind": "normalised", "normalisation": "layer"},
    "batch norm": lambda depth: {"kind": "normalised", "normalisation": "batch"},
    "batch norm, residual": lambda depth: {
        "kind": "residual",
        "normalisation": "batch",
    },
}


def problem(width: int) -> px.Problem:
    """Targets tanh(1.5 x_1) + x_2/2 of normal inputs, as many as units in a layer."""
    x = jax.random.normal(jax.random.key(0), (NUM_DATA, width))
    return px.Problem(x, jnp.tanh(1.5 * x[:, 0]) + 0.5 * x[:, 1])


def height(data: px.Problem) -> float:
    """The loss of the output 0."""
    return float(jnp.mean(data.y**2) / 2)


def starts(
    depth: int, width: int, lanes: int, in_dim=None, out_dim=None, **options
) -> px.MLP:
    """Networks without biases, a lane each: linear map, hidden layers, linear map."""
    how = {"initialiser": "he", "embedding": "lecun", "last_layer": "lecun"} | options

    def one(lane):
        network = px.networks.mlp(
            jax.random.fold_in(jax.random.key(depth), lane),
            widths=(width,) * depth,
            in_dim=in_dim or width,
            out_dim=out_dim,
            **how,
        )
        return eqx.tree_at(lambda net: net.biases, network, None)

    return jax.vmap(one)(jnp.arange(lanes))


@eqx.filter_jit
def train(data: px.Problem, networks: px.MLP, name: str, step_size, num_steps: int):
    """All lanes by one optimizer, every loss kept, against steps."""
    one = lambda network: px.descend(
        data,
        network,
        OPTIMIZERS[name](step_size),
        num_steps=num_steps,
        save=px.every(1),
        watch=False,
    )
    return in_steps(jax.vmap(one)(networks))


def run_steps(data, networks, name: str, step_size: float, num_steps: int):
    """The same with a traced step size: one program serves all."""
    return train(data, networks, name, jnp.asarray(step_size), num_steps)


def label(name: str, step_size: float) -> str:
    """Optimizer and step size."""
    return f"{name} {step_size:g}"


def tell(made: dict, name: str, trained, data, of_height=None) -> dict:
    """Keep and print a row each for three quarters and for half of the plateau.

    Shares are of a height, or of the initial loss of each lane.
    """
    found = {}
    for words, share in SHARES.items():
        how = ("share", share) if of_height is None else ("loss", share * of_height)
        found[words] = px.stages.escape(trained, data, criterion=how[0], level=how[1])
        group = f"{name}, {words}"
        made[group] = row(found[words])
        print(line(group, made[group]), flush=True)
    return found


def images(path: Path, arrays: tuple[str, str], num_data: int) -> px.Problem:
    """Pictures of a NumPy archive, one row of pixels each, in the units of the digits.

    Pixels have mean 0 and standard deviation 1 over the data used, constant ones are 0.
    """
    with np.load(path) as archive:
        x, labels = (archive[name] for name in arrays)
    rows = np.random.default_rng(0).permutation(len(x))[:num_data]
    x = x[rows].reshape(len(rows), -1).astype(float)
    classes, places = np.unique(labels, return_inverse=True)
    spread = x.std(axis=0)
    x = (x - x.mean(axis=0)) / np.where(spread > 0, spread, 1)
    y = np.eye(len(classes))[np.ravel(places)[rows]]
    return px.Problem(x, y, loss="cross_entropy", name=Path(path).stem)
