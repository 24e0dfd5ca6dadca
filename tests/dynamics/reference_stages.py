"""Networks of the stages of training, and their flow by SciPy, written out by hand."""

import numpy as np
from scipy.integrate import solve_ivp

import plateaux as px


def network(width, alpha, seed=0, activation="tanh"):
    """All parameters of size m^-alpha: c first, then the rows (w, b)."""
    rng = np.random.default_rng(seed)
    return scaled_network(rng, width, width ** -float(alpha), activation)


def scaled_network(rng, width, size, activation="tanh"):
    theta = rng.normal(size=3 * width) * size
    v = theta[width:].reshape(width, 2)
    return px.TwoLayer(v[:, :1], v[:, 1], theta[:width], activation=activation)


def odd_network(width, alpha, seed=0):
    """One input and no biases: those of an odd problem stay 0."""
    rng = np.random.default_rng(seed)
    c, w = rng.normal(size=(2, width)) * width ** -float(alpha)
    return px.TwoLayer(w[:, None], np.zeros(width), c, activation="tanh")


def neurons(net):
    """The rows (c, w, b)."""
    return np.column_stack([net.c, net.w, net.b])


def tanh_flow(problem, net, times, **tolerances):
    """Neurons of a tanh network at times, by SciPy."""
    x1 = np.column_stack([problem.x, np.ones(problem.num_data)])
    y, q = np.asarray(problem.y), np.asarray(problem.sample_weights)
    start = neurons(net)

    def field(_, flat):
        theta = flat.reshape(start.shape)
        h = np.tanh(theta[:, 1:] @ x1.T)
        r = q * (y - theta[:, 0] @ h)
        v_dot = theta[:, :1] * (((1 - h**2) * r) @ x1)
        return np.column_stack([h @ r, v_dot]).ravel()

    run = solve_ivp(field, (0, times[-1]), start.ravel(), t_eval=times, **tolerances)
    return run.y.T.reshape(-1, *start.shape)


def tanh_losses(problem, rows):
    x1 = np.column_stack([problem.x, np.ones(problem.num_data)])
    f = np.array([row[:, 0] @ np.tanh(row[:, 1:] @ x1.T) for row in rows])
    return 0.5 * (f - np.asarray(problem.y)) ** 2 @ np.asarray(problem.sample_weights)
