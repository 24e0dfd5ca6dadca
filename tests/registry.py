"""Everything the contract tests walk, by name: plain dictionaries."""

from functools import partial

import optax

import plateaux as px
import plateaux.networks as networks

# --- activations -------------------------------------------------------------------
# name -> activation

ACTIVATIONS = networks.ACTIVATIONS

# --- networks ----------------------------------------------------------------------
# name -> builder(key, dtype), all with IN_DIM inputs. Biases are drawn, so that no
# pre-activation of the test data sits on a kink.

IN_DIM = 3


def two_layer(key, dtype, **options):
    return networks.he(
        key, width=5, in_dim=IN_DIM, bias="normal", dtype=dtype, **options
    )


def deep(key, dtype, widths=(4, 4), **options):
    return networks.mlp(
        key, widths=widths, in_dim=IN_DIM, bias="normal", dtype=dtype, **options
    )


NETWORKS = {
    "two_layer": two_layer,
    "two_layer_affine": partial(two_layer, affine=True),
    "two_layer_tanh": partial(two_layer, activation="tanh"),
    "mlp": partial(deep, widths=(5, 4)),
    "mlp_vector": partial(deep, widths=(5, 4), out_dim=2, readout_bias=True),
    "mlp_residual": partial(deep, kind="residual"),
    "mlp_embedded": partial(deep, kind="residual", embedding="lecun"),
    "mlp_normalised": partial(deep, kind="normalised", learn_normalisation=True),
}

# --- initialisers ------------------------------------------------------------------
# name -> function(key, *, width, in_dim, scale, affine, activation, dtype)

INITIALISERS = networks.INITIALISERS

# --- losses ------------------------------------------------------------------------
# name -> (output f, targets y) of one datum, asymmetric and off the minimum

LOSSES = {
    "squared": ([0.7, -1.3], [2.0, 0.5]),
    "logistic": (0.8, -1.0),
    "exponential": (-0.6, 1.0),
    "cross_entropy": ([0.3, -1.1, 2.0], [0.0, 1.0, 0.0]),
}

# --- problems ----------------------------------------------------------------------
# name -> options that make it small; "file" is not here, it needs a file of its own

PROBLEMS = {
    "sine": {"num_data": 7},
    "polynomial": {"num_data": 7, "coefficients": [1.0, -2.0, 0.5]},
    "step": {"num_data": 7, "at": 0.2},
    "runge": {"num_data": 7},
    "absolute_value": {"num_data": 7},
    "gaussian_bump": {"num_data": 7, "centre": 0.3},
    "sine_and_square": {"num_data": 7},
    "hyperbolic_tangent": {"num_data": 7, "steepness": 1.5},
    "odd_cubic": {"num_data": 7, "cubic": -0.2},
    "disk": {"num_side": 4},
    "product_of_sines": {"num_side": 4, "in_dim": 3},
    "teacher_student": {"num_data": 7, "in_dim": 3, "seed": 1},
    "single_index": {"num_data": 7, "in_dim": 3, "seed": 1},
    "spiral": {"num_per_class": 4, "seed": 1},
    "diabetes": {"num_data": 7},
    "digits": {"num_data": 7},
    "breast_cancer": {"num_data": 7},
}

# --- methods -----------------------------------------------------------------------
# name -> optimizer for px.descend

METHODS = {
    "gradient_descent": px.gradient_descent(0.05),
    "sgd": optax.sgd(0.05),
    "momentum": optax.sgd(0.05, momentum=0.9),
    "adam": optax.adam(0.01),
    "rmsprop": optax.rmsprop(0.01),
    "lbfgs": optax.lbfgs(),
}
