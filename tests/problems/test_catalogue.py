"""Problems by name."""

import inspect

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

from plateaux import problems
from plateaux.problems import PROBLEMS, Problem, problem

from ..registry import PROBLEMS as SMALL

every_problem = pytest.mark.parametrize("name", SMALL)


def test_registry_lists_every_problem():
    assert set(SMALL) == set(PROBLEMS) - {"file"}


@every_problem
def test_every_problem_is_a_problem_in_both_precisions(name):
    for dtype in ("float32", "float64"):
        made = problem(name, **SMALL[name], dtype=dtype)
        assert isinstance(made, Problem)
        assert made.name == name
        arrays = jax.tree.leaves(eqx.filter(made, eqx.is_array))
        assert {array.dtype for array in arrays} == {jnp.dtype(dtype)}
        assert made.num_data >= 7


@every_problem
def test_normalisation_reaches_the_problem(name):
    made = problem(name, **SMALL[name], normalisation="sum")
    assert made.normalisation == "sum"
    assert problem(name, **SMALL[name]).normalisation == "mean"


@every_problem
def test_every_option_has_a_default_and_a_name(name):
    for parameter in inspect.signature(PROBLEMS[name]).parameters.values():
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY
        assert parameter.default is not inspect.Parameter.empty


def test_lookup_calls_the_function_of_that_name():
    made = problem("polynomial", coefficients=[0.0, 3.0], num_data=2)
    assert made.y.tolist() == [-3.0, 3.0]
    assert problems.polynomial is PROBLEMS["polynomial"]


def test_file_by_name(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("a,b\n1,2\n3,4\n")
    made = problem("file", path=str(path), x=["a"], y="b", name="mine")
    assert (made.x.tolist(), made.y.tolist(), made.name) == ([[1], [3]], [2, 4], "mine")


def test_unknown_problem_names_the_nearest():
    with pytest.raises(
        ValueError, match="problem must be one of .*is 'sinus'; did you m"
    ):
        problem("sinus")
    with pytest.raises(ValueError, match="did you mean 'teacher_student'"):
        problem("teacher-student")


def test_unknown_option_names_the_nearest():
    with pytest.raises(
        ValueError,
        match="option of problem 'sine' must be one of domain, dtype, frequency, "
        r"normalisation, num_data, but is 'freq'; did you mean 'frequency'\?",
    ):
        problem("sine", freq=2.0)
    with pytest.raises(ValueError, match="problem 'file' .*did you mean 'standardise'"):
        problem("file", path="data.csv", x="a", y="b", standardize=True)


def test_missing_options_are_named():
    with pytest.raises(
        TypeError,
        match="'file' must be given `path`, `x`, `y`, but `x`, `y` did not come",
    ):
        problem("file", path="data.csv")
