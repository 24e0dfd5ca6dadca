import json

import numpy as np
import pytest

from plateaux.experiments import as_json, disagreements, plain


def rule(of="*", **how):
    return {"of": of, "why": "a reason", **how}


def agrees(found, wanted, **how):
    return not disagreements({"a": found}, {"a": wanted}, [rule(**how)])


def test_plain_values_are_what_json_gives_back():
    value = {"times": np.array([1.0, np.inf, np.nan]), 3: np.int64(2), "t": (1, None)}
    found = plain(value)
    assert found == {"times": [1.0, "inf", "nan"], "3": 2, "t": [1, None]}
    assert json.loads(as_json(found)) == found
    assert plain(-np.inf) == "-inf"


def test_lists_of_numbers_stand_on_one_line():
    text = as_json(
        {"a": [1.5, "inf", -2e-9], "b": [[1, 2], [3, 4]], "c": {"d": "x, y"}}
    )
    assert '"a": [1.5, "inf", -2e-09]' in text
    assert "[1, 2]" in text
    assert json.loads(text)["c"] == {"d": "x, y"}


def test_without_a_rule_values_must_be_equal():
    assert disagreements({"a": [1, 2]}, {"a": [1, 2]}) == []
    assert disagreements({"a": [1, 2]}, {"a": [1, 3]}) == [
        "a is [1, 2], expected [1, 3]"
    ]
    assert disagreements({"a": np.float64(0.1)}, {"a": 0.1}) == []


@pytest.mark.parametrize(
    ("found", "wanted", "how", "holds"),
    [
        (1.1, 1.0, {"rtol": 0.11}, True),
        (1.1, 1.0, {"rtol": 0.09}, False),
        (0.0, 1e-3, {"atol": 1e-3}, True),
        (1.2, 1.0, {"rtol": 0.1, "atol": 0.11}, True),
        ([1.0, 2.0], [1.0, 2.3], {"rtol": 0.1}, False),
        ([1.0, 2.0], [1.0], {"rtol": 0.1}, False),
        (np.inf, "inf", {"rtol": 0.1}, True),
        (1e300, "inf", {"rtol": 0.1}, False),
        (np.nan, "nan", {"rtol": 0.1}, True),
        (np.nan, 1.0, {"rtol": 0.1}, False),
        (1.9, 1.0, {"factor": 2}, True),
        (0.4, 1.0, {"factor": 2}, False),
        (-1.0, 1.0, {"factor": 2}, False),
        (-1.5, -1.0, {"factor": 2}, True),
        (0.0, 0.0, {"factor": 2}, True),
        (0.0, 1.0, {"factor": 2}, False),
        (np.inf, "inf", {"factor": 2}, True),
        ([1e-9, 2e-9], [5.0, 5.0], {"at_most": 1e-8}, True),
        ([1e-9, 2e-8], [5.0, 5.0], {"at_most": 1e-8}, False),
        (np.nan, 5.0, {"at_most": 1e-8}, False),
        ([2, 1, 3], [4, 3, 5], {"overlap": True}, True),
        ([2, 1, 2.9], [4, 3, 5], {"overlap": True}, False),
        ([4, 3, 5], [2, 1, 2.9], {"overlap": True}, False),
        ([[2, 1, 3], [2, 1, 3]], [[2, 1, 3], [9, 8, 10]], {"overlap": True}, False),
        ([[2, 1, 3], [2, 1, 3]], [[2, 1, 3], [3, 2, 10]], {"overlap": True}, True),
        ([2, 1, np.inf], ["inf", 3, "inf"], {"overlap": True}, True),
        ([0.15, 0.15 + 1e-15, 0.15 + 1e-15], [0.15] * 3, {"overlap": True}, True),
        ([0.15, 0.1501, 0.1501], [0.15] * 3, {"overlap": True}, False),
        ("left", "left", {"rtol": 0.1}, True),
        ("left", "right", {"rtol": 0.1}, False),
        (None, None, {"overlap": True}, True),
        ([2, 1, 3], None, {"overlap": True}, False),
        (True, True, {"rtol": 0.0}, True),
    ],
)
def test_rules(found, wanted, how, holds):
    assert agrees(found, wanted, **how) is holds


def test_the_first_rule_that_fits_counts_and_stars_cross_levels():
    rules = [rule("times/*", rtol=0.5), rule("*", rtol=0.0)]
    found, wanted = (
        {"times": {"a": {"b": 1.4}}, "loss": 1.4},
        {"times": {"a": {"b": 1}}},
    )
    assert disagreements(found, wanted, rules) == []
    wrong = disagreements(found, {**wanted, "loss": 1.0}, rules)
    assert wrong == ["loss is 1.4, expected 1.0 (rtol 0.0)"]


def test_missing_numbers_are_told_unless_only_parts_were_run():
    assert disagreements({}, {"a": {"b": 1}}) == ["a/b is missing"]
    assert disagreements({}, {"a": {"b": 1}}, partial=True) == []
    assert disagreements({"new": 1}, {}) == []


def test_of_a_long_list_the_worst_entry_is_told():
    wanted, found = list(range(20)), [*range(20)]
    found[3], found[7] = 3.1, 9.0
    (said,) = disagreements({"a": found}, {"a": wanted}, [rule(rtol=1e-3)])
    assert said == "a at [7] is 9.0, expected 7.0 (rtol 0.001)"


@pytest.mark.parametrize(
    "broken",
    [
        {"of": "*", "why": "w"},
        {"of": "*", "rtol": 1.0},
        {"why": "w", "rtol": 1.0},
        {"of": "*", "why": "w", "rtoll": 1.0},
        {"of": "*", "why": "w", "rtol": 1.0, "factor": 2},
    ],
)
def test_rules_that_say_nothing_are_refused_even_if_no_number_meets_them(broken):
    with pytest.raises(ValueError, match="Every rule must have a pattern `of`"):
        disagreements({}, {}, [broken])
