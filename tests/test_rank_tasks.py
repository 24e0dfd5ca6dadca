"""What the experiment on tasks and activations computes beside the library."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import plateaux as px
from plateaux.experiments import shelf

from .closeness import lane
from .experiment_files import load, quickly

script, tasks = load("rank_tasks"), load("learning_tasks")
EQUATIONS = ("poisson_1d", "poisson_2d", "burgers", "allen_cahn")


def drawer(task, activation: str = "tanh"):
    """Draws a network of 4 and 3 neurons that fits the task."""
    return lambda key: px.networks.mlp(
        key,
        widths=(4, 3),
        in_dim=task.problem.in_dim,
        out_dim=task.problem.out_dim,
        activation=activation,
        initialiser="xavier",
        readout_bias=True,
    )


def small(task):
    """Such a network."""
    return quickly(drawer(task))(jax.random.key(0))


def zero(task, activation: str = "tanh"):
    """The same, with all parameters zero."""
    shapes = jax.eval_shape(drawer(task, activation), jax.random.key(0))
    return jax.tree.map(lambda leaf: jnp.asarray(np.zeros(leaf.shape)), shapes)


@pytest.mark.parametrize("name", tasks.TASKS)
def test_tasks_are_measured_on_their_domain_and_have_relative_errors(name):
    task = tasks.TASKS[name]()
    d, rule = task.problem.in_dim, task.rule
    assert (rule is None) == (name == "digits")
    one = name.endswith("1d") or name == "allen_cahn"
    assert d == {"fit_5d": 5, "digits": 64}.get(name, 1 if one else 2)
    expected = 1.0
    if rule is None:  # a network of zeros says the digit 0 of every picture
        said = np.argmax(np.asarray(px.problems.digits(num_data=1797).y)[400:], axis=1)
        expected = np.mean(said != 0)
    else:
        low = np.array([0.0, -1.0] if name == "burgers" else [-1.0] * d)
        assert np.all(np.asarray(rule.points) > low)
        assert np.all(rule.points < 1)
        total = np.sum(np.asarray(rule.weights))
        np.testing.assert_allclose(total, np.prod(1 - low), rtol=1e-13)
        # enough points for the rank of 50 neurons
        assert len(rule.weights) >= 5 * script.WIDTHS[-1]
    error = jax.jit(lambda network: task.error(network))(zero(task))
    np.testing.assert_allclose(error, expected, rtol=1e-12)


def test_targets():
    np.testing.assert_allclose(tasks.three_waves(jnp.array([0.25])), 0.5, atol=1e-15)
    x = jnp.array([0.5, 0.25])
    np.testing.assert_allclose(tasks.two_products(x), np.sqrt(0.5), atol=1e-15)
    x = jnp.full(5, 0.25)
    np.testing.assert_allclose(tasks.ridge_and_bump(x), 1 + 0.5 * np.exp(-5 / 16))


def test_starts_differ_and_have_no_biases():
    many = quickly(lambda: script.starts(tasks.TASKS["fit_2d"](), "cos", 2))()
    first, second = np.asarray(many.weights[1])
    assert not np.any(first == second)
    assert not any(np.any(b) for b in (*many.biases, many.readout_bias))


def test_numbers_are_those_of_the_run():
    task = tasks.TASKS["ritz_1d"]()
    networks = jax.tree.map(lambda v: jnp.asarray(np.asarray(v)[None]), small(task))
    made = script.train(task, networks, script.optimizer_of("Adam", "ritz_1d"), 4)
    run = lane(made, 0)
    # by hand: eigenvalues of the Gram matrix, divided by the volume 2
    hidden = jax.jit(jax.vmap(lambda x: run.network.hidden(x)[-1]))
    phi = np.tanh(np.asarray(hidden(task.rule.points)))
    gram = phi.T @ (np.asarray(task.rule.weights)[:, None] * phi) / 2
    values = np.linalg.eigvalsh(gram)
    found = script.numbers(run, (1.2 * values[-1], 1.2 * values[-2]))
    assert found["end"] == [0, 1]
    told = jax.jit(lambda net: (task.error(net), px.loss(task.problem, net)))
    error, loss = told(run.network)
    np.testing.assert_allclose(found["error"], error, rtol=1e-12)
    np.testing.assert_allclose(found["loss"], loss)
    np.testing.assert_allclose(sum(found["parts"].values()), found["loss"])


def test_relu_is_refused_where_second_derivatives_count():
    for name in EQUATIONS:
        task = tasks.TASKS[name]()
        with pytest.raises(ValueError, match="second derivative"):
            px.loss(task.problem, zero(task, "relu"))
    found, run = script.fill(("allen_cahn", "relu", "Adam"), script.SMOKE)
    assert found == {"refused": True}
    assert run is None


def test_every_cell_is_named_once_and_expected():
    assert script.Config().parts == tuple(tasks.TASKS)
    every = script.cells(script.Config())
    assert len(set(every)) == len(every) == 5 * len(tasks.TASKS) + 4
    expected = shelf.expected("rank_tasks")["full"]["numbers"]
    assert set(expected) == {", ".join(cell) for cell in every} | {"summary"}
    refused = {name for name, cell in expected.items() if "refused" in cell}
    assert refused == {f"{name}, relu, Adam" for name in EQUATIONS}


def test_the_summary_counts_runs():
    cell = {"start": [1, 2], "end": [3, 2], "first_layer": [4, 1]}
    cell |= {"spearman": [-0.9, 0.1], "steps": [2, 3], "matched": [1, 0]}
    found = script.summary({"a": cell, "b": {"refused": "no"}, "c": cell})
    assert found["runs"] == 2
    assert found["rank_rises"] == [2, 0]
    assert found["later_layer_higher"] == [0, 2]
    assert found["later_layer_lower"] == [2, 0]
    assert found["spearman_below_-0.8"] == [2, 0]
    assert found["spearman_above_0"] == [0, 2]
    assert (found["steps_matched"], found["steps"]) == ([2, 0], [4, 6])
