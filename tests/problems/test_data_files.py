"""Problems from files: what is read, and one sentence for every bad file."""

import math
import sys
from decimal import Decimal

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import StandardScaler

from plateaux.problems import from_file

CSV = """age,bmi,sex,target,mass
50,30.5,F,1.5,1
40,22,M,-0.5,2
35,27.25,F,3,0.5
"""
FRAME = pd.DataFrame(
    {
        "age": [50, 40, 35],
        "bmi": [30.5, 22.0, 27.25],
        "sex": ["F", "M", "F"],
        "target": [1.5, -0.5, 3.0],
        "mass": [1.0, 2.0, 0.5],
    }
)
X = np.array([[50, 30.5], [40, 22], [35, 27.25]])
Y = np.array([1.5, -0.5, 3.0])


@pytest.fixture
def write(tmp_path):
    """A function that writes CSV text and returns the path."""

    def write_text(text, name="data.csv", **options):
        path = tmp_path / name
        path.write_text(text, **options)
        return path

    return write_text


@pytest.fixture(params=["csv", "npz", "parquet"])
def table(request, tmp_path):
    """The same table in every format."""
    path = tmp_path / f"table.{request.param}"
    if request.param == "csv":
        path.write_text(CSV)
    elif request.param == "npz":
        columns = {name: FRAME[name].to_numpy() for name in FRAME.columns}
        np.savez(path, **{**columns, "sex": np.array(["F", "M", "F"])})
    else:
        FRAME.to_parquet(path)
    return path


# --- what is read ---


def test_every_format_gives_the_same_problem(table):
    problem = from_file(table, x=["age", "bmi"], y="target", weights="mass")
    np.testing.assert_array_equal(problem.x, X)
    np.testing.assert_array_equal(problem.y, Y)
    np.testing.assert_array_equal(problem.weights, FRAME["mass"])
    assert problem.x.dtype == problem.weights.dtype == jnp.float64
    assert problem.name == "table"
    assert problem.time_unit == "flow time of L = Σ μ ½ r² / Σ μ"


def test_columns_come_in_the_order_asked_for(table):
    problem = from_file(table, x=["bmi", "age"], y=["target", "mass"], name="mine")
    np.testing.assert_array_equal(problem.x, X[:, ::-1])
    np.testing.assert_array_equal(problem.y, FRAME[["target", "mass"]])
    assert problem.name == "mine"


def test_one_name_is_one_input(table):
    problem = from_file(str(table), x="bmi", y="target")
    np.testing.assert_array_equal(problem.x, X[:, 1:])


def test_words_become_one_hot_rows_in_sorted_order(table):
    for options in ({"loss": "cross_entropy"}, {"one_hot": True}):
        problem = from_file(table, x="bmi", y="sex", **options)
        np.testing.assert_array_equal(problem.y, [[1, 0], [0, 1], [1, 0]])


def test_whole_number_labels_are_sorted_as_numbers(write):
    path = write("x,label\n1,10\n2,9\n3,2.0\n4,10\n")
    problem = from_file(path, x="x", y="label", loss="cross_entropy")
    expected = [[0, 0, 1], [0, 1, 0], [1, 0, 0], [0, 0, 1]]
    np.testing.assert_array_equal(problem.y, expected)


def test_classes_do_not_depend_on_the_subset(write):
    path = write("x,label\n1,a\n2,b\n3,c\n")
    problem = from_file(path, x="x", y="label", loss="cross_entropy", num_data=2)
    assert problem.y.shape == (2, 3)


def test_probability_columns_stay_as_they_are(write):
    path = write("x,p,q\n1,0.25,0.75\n2,1,0\n")
    problem = from_file(path, x="x", y=["p", "q"], loss="cross_entropy")
    np.testing.assert_array_equal(problem.y, [[0.25, 0.75], [1, 0]])


def test_signs_train_the_logistic_loss_and_are_not_standardised(write):
    path = write("x,y\n1,-1\n2,+1\n4,1\n")
    problem = from_file(path, x="x", y="y", loss="logistic", standardise=True)
    np.testing.assert_array_equal(problem.y, [-1, 1, 1])


def test_standardise(table):
    scaler = StandardScaler()
    expected = scaler.fit_transform(X)
    y = (Y - Y.mean()) / Y.std()
    both = from_file(table, x=["age", "bmi"], y="target", standardise=True)
    np.testing.assert_allclose(both.x, expected, atol=1e-14)
    np.testing.assert_allclose(both.y, y, atol=1e-14)
    inputs = from_file(table, x=["age", "bmi"], y="target", standardise="x")
    np.testing.assert_allclose(inputs.x, expected, atol=1e-14)
    np.testing.assert_array_equal(inputs.y, Y)
    labels = from_file(table, x="age", y="sex", one_hot=True, standardise=True)
    np.testing.assert_array_equal(labels.y, [[1, 0], [0, 1], [1, 0]])


def test_subset_keeps_rows_together_and_standardises_them(write):
    text = "".join(f"{k},{k * k},{k + 0.5}\n" for k in range(30))
    path = write("x,y,m\n" + text)
    problem = from_file(path, x="x", y="y", weights="m", num_data=8, seed=4)
    x = np.asarray(problem.x)[:, 0]
    assert len(set(x.tolist())) == 8
    np.testing.assert_array_equal(problem.y, x**2)
    np.testing.assert_array_equal(problem.weights, x + 0.5)
    scaled = from_file(path, x="x", y="y", num_data=8, seed=4, standardise=True)
    np.testing.assert_allclose(scaled.x[:, 0], (x - x.mean()) / x.std(), atol=1e-14)


def test_matrices_of_an_archive(tmp_path):
    path = tmp_path / "data.npz"
    x = np.arange(12.0).reshape(4, 3) ** 2
    np.savez_compressed(path, X=x, t=np.arange(4), Y=x[:, :2].astype(np.float32))
    problem = from_file(path, x=["X", "t"], y="Y")
    np.testing.assert_array_equal(problem.x, np.column_stack([x, np.arange(4)]))
    np.testing.assert_array_equal(problem.y, x[:, :2])
    column = from_file(path, x="t", y="X", normalisation="sum")
    assert column.y.shape == (4, 3)


def test_truth_values_integers_and_decimals_are_numbers(tmp_path, write):
    csv = write("x,y,flag\n1e-2,1,True\n-3,2,False\n")
    path = tmp_path / "data.parquet"
    decimals = [Decimal("0.5"), Decimal("2")]
    pd.DataFrame({"x": [True, False], "d": decimals, "y": [1, 2]}).to_parquet(path)
    problem = from_file(path, x=["x", "d"], y="y")
    np.testing.assert_array_equal(problem.x, [[1, 0.5], [0, 2]])
    assert from_file(csv, x="x", y="y").x.tolist() == [[0.01], [-3]]


def test_categories_of_parquet_are_labels(tmp_path):
    path = tmp_path / "data.parquet"
    labels = pd.Categorical(["b", "a", "b"], categories=["b", "a", "unused"])
    pd.DataFrame({"x": [1.0, 2.0, 3.0], "label": labels}).to_parquet(path)
    problem = from_file(path, x="x", y="label", loss="cross_entropy")
    np.testing.assert_array_equal(problem.y, [[0, 1], [1, 0], [0, 1]])


def test_quotes_spaces_blank_lines_and_a_byte_order_mark(write):
    path = write(
        'age, "b,mi",y \r\n1, "2.5",3 \r\n\r\n4,5,6\r\n',
        encoding="utf-8-sig",
        newline="",
    )
    problem = from_file(path, x=["age", "b,mi"], y="y")
    np.testing.assert_array_equal(problem.x, [[1, 2.5], [4, 5]])


def test_precision(table):
    single = from_file(table, x="bmi", y="target", weights="mass", dtype="float32")
    assert single.x.dtype == single.y.dtype == single.weights.dtype == jnp.float32
    with jax.enable_x64(False):
        assert from_file(table, x="bmi", y="target").x.dtype == jnp.float32


def test_numbers_beyond_single_precision_are_refused(write):
    path = write("x,y\n1e300,1\n2,2\n")
    assert float(from_file(path, x="x", y="y").x[0, 0]) == 1e300
    with pytest.raises(ValueError, match="`x` must be finite, but 1 of its 2"):
        from_file(path, x="x", y="y", dtype="float32")


# --- files that cannot be read ---


def test_missing_file(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"must exist, but .*gone\.csv does not"
    ):
        from_file(tmp_path / "gone.csv", x="x", y="y")


def test_folder(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(IsADirectoryError, match=r"but .*folder\.csv is a folder"):
        from_file(tmp_path / "folder.csv", x="x", y="y")


def test_unknown_suffix(write):
    path = write(CSV, "data.xlsx")
    with pytest.raises(
        ValueError, match=r"end in \.csv, \.npz, \.parquet, but is .*xlsx"
    ):
        from_file(path, x="age", y="bmi")


@pytest.mark.parametrize("suffix", ["csv", "npz", "parquet"])
def test_empty_file(write, suffix):
    path = write("", f"data.{suffix}")
    with pytest.raises(ValueError, match=r"must hold data, but is empty \(0 bytes\)"):
        from_file(path, x="x", y="y")


def test_header_only_and_blank_lines(write, tmp_path):
    with pytest.raises(ValueError, match="at least one row, but has none"):
        from_file(write("x,y\n"), x="x", y="y")
    with pytest.raises(ValueError, match="must hold data, but has only blank lines"):
        from_file(write("\n\n"), x="x", y="y")
    np.savez(tmp_path / "none.npz", x=np.zeros((0, 2)), y=np.zeros(0))
    with pytest.raises(ValueError, match="at least one row, but has none"):
        from_file(tmp_path / "none.npz", x="x", y="y")
    pd.DataFrame({"x": [], "y": []}).to_parquet(tmp_path / "none.parquet")
    with pytest.raises(ValueError, match="at least one row, but has none"):
        from_file(tmp_path / "none.parquet", x="x", y="y")


@pytest.mark.parametrize("suffix", ["npz", "parquet"])
@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_truncated_file(tmp_path, suffix, keep):
    path = tmp_path / f"data.{suffix}"
    if suffix == "npz":
        np.savez(path, x=np.arange(500.0), y=np.arange(500.0))
    else:
        pd.DataFrame({"x": np.arange(500.0), "y": np.arange(500.0)}).to_parquet(path)
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    kind = {"npz": "an NPZ archive", "parquet": "a Parquet file"}[suffix]
    with pytest.raises(ValueError, match=rf"must be {kind}, but cannot be read: .+\.$"):
        from_file(path, x="x", y="y")


@pytest.mark.parametrize("suffix", ["npz", "parquet"])
def test_damaged_file(tmp_path, suffix):
    path = tmp_path / f"data.{suffix}"
    x = np.random.default_rng(0).random(3000)
    if suffix == "npz":
        np.savez_compressed(path, x=x, y=x)
    else:
        pd.DataFrame({"x": x, "y": x}).to_parquet(path)
    content = bytearray(path.read_bytes())
    for place in range(100, 1100) if suffix == "npz" else range(4, 104):
        content[place] ^= 0xFF
    path.write_bytes(bytes(content))
    with pytest.raises(ValueError, match=r"cannot be read: .+\.$"):
        from_file(path, x="x", y="y")


def test_text_that_is_not_text(tmp_path, write):
    path = tmp_path / "data.csv"
    path.write_bytes(b"x,y\n\xff\xfe\x00,1\n")
    with pytest.raises(
        ValueError, match="must be CSV text, but cannot be read: 'utf-8'"
    ):
        from_file(path, x="x", y="y")
    with pytest.raises(ValueError, match="must be CSV text, but cannot be read"):
        from_file(write('x,y\n"1,2\n'), x="x", y="y")


def test_archive_of_objects_is_not_unpickled(tmp_path):
    path = tmp_path / "data.npz"
    np.savez(path, x=np.array([1, "a", None], dtype=object), y=np.arange(3.0))
    with pytest.raises(
        ValueError, match="Array 'x' of .* must be a plain array of num"
    ):
        from_file(path, x="x", y="y")


@pytest.mark.parametrize(
    ("array", "shape"),
    [(np.zeros((2, 2, 2)), r"\(2, 2, 2\)"), (np.float64(1), r"\(\)")],
)
def test_archive_of_other_shapes(tmp_path, array, shape):
    path = tmp_path / "data.npz"
    np.savez(path, x=array, y=np.arange(2.0))
    message = rf"'x' of .* shape \(K,\) or \(K, columns\), but has shape {shape}"
    with pytest.raises(ValueError, match=message):
        from_file(path, x="x", y="y")


def test_permissions_pass_on_the_systems_words(table, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(
        OSError, match=r"must be readable, but is not: Permission denied\.$"
    ):
        from_file(table, x="age", y="bmi")


def test_parquet_without_pyarrow_names_the_extra(tmp_path, monkeypatch):
    path = tmp_path / "table.parquet"
    FRAME.to_parquet(path)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ImportError, match=r"need pyarrow.*install 'plateaux\[data\]'"):
        from_file(path, x="age", y="bmi")


# --- columns that do not fit ---


def test_missing_column_names_the_nearest_and_all(table):
    message = (
        r"Column 'agee' must be in .*, but its columns are 'age', 'bmi', 'sex', "
        r"'target', 'mass'; did you mean 'age'\?"
    )
    with pytest.raises(ValueError, match=message):
        from_file(table, x=["agee", "bmi"], y="target")


def test_many_columns_are_cut_short(write):
    path = write(",".join(f"c{k}" for k in range(40)) + "\n" + ",".join(["1"] * 40))
    with pytest.raises(ValueError, match=r"'c19', … \(40 in all\); did you mean 'c3"):
        from_file(path, x="c399", y="c1")


def test_column_that_is_there_twice(write):
    path = write("x,y,x\n1,2,3\n")
    with pytest.raises(ValueError, match="'x' of .* be there once, but 2 columns have"):
        from_file(path, x="x", y="y")


def test_column_that_is_used_twice(table):
    with pytest.raises(
        ValueError, match="used once, but 'bmi' is named 2 times in `x`"
    ):
        from_file(table, x=["age", "bmi"], y="bmi")


def test_word_in_a_numeric_column(table, write):
    with pytest.raises(
        ValueError, match="Column 'sex' of .* numeric, but row 1 holds 'F'"
    ):
        from_file(table, x=["age", "sex"], y="target")
    path = write("x,y\n1,2\n3,?\n5,6\n")
    with pytest.raises(
        ValueError, match=r"'y' of .*data\.csv .*but row 2 holds '\?'\.$"
    ):
        from_file(path, x="x", y="y")


def test_dates_lists_and_complex_numbers_are_not_numbers(tmp_path):
    path = tmp_path / "data.parquet"
    days = pd.to_datetime(["2020-01-01", "2020-01-02"])
    frame = pd.DataFrame({"day": days, "list": [[1, 2], [3, 4]], "y": [1, 2]})
    frame.to_parquet(path)
    with pytest.raises(
        ValueError, match="'day' of .* must be numeric, but row 1 holds"
    ):
        from_file(path, x="day", y="y")
    with pytest.raises(ValueError, match=r"'list' of .* but row 1 holds \[1, 2\]"):
        from_file(path, x="list", y="y")
    archive = tmp_path / "data.npz"
    days = days.to_numpy().astype("datetime64[ns]")
    np.savez(archive, z=np.array([[1, 2j], [3, 4]]), day=days, y=np.arange(2.0))
    with pytest.raises(
        ValueError, match="'day' of .* must be numeric, but row 1 holds"
    ):
        from_file(archive, x="day", y="y")
    with pytest.raises(ValueError, match=r"'z' of .* must be numeric, but row 1 holds"):
        from_file(archive, x="z", y="y")


@pytest.mark.parametrize("entry", ["", "NA", "nan", "null", "inf", "-Infinity"])
def test_missing_entries_are_counted(write, entry):
    path = write(f"x,y\n1,2\n3,{entry}\n5,{entry}\n7,8\n")
    message = (
        r"Column 'y' of .* must be complete, but 2 of its 4 entries are missing, NaN "
        r"or infinite, the first in row 2; remove or impute them first\.$"
    )
    with pytest.raises(ValueError, match=message):
        from_file(path, x="x", y="y")


def test_missing_entries_of_binary_files(tmp_path):
    columns = {"x": [1.0, math.nan, 3.0], "n": [1, 2, None], "y": [1.0, 2.0, 3.0]}
    frame = pd.DataFrame(columns).astype({"n": "Int64"})
    frame.to_parquet(tmp_path / "data.parquet")
    with pytest.raises(ValueError, match="'x' .* but 1 of its 3 entries .* in row 2;"):
        from_file(tmp_path / "data.parquet", x="x", y="y")
    with pytest.raises(ValueError, match="'n' .* but 1 of its 3 entries .* in row 3;"):
        from_file(tmp_path / "data.parquet", x="n", y="y")
    x = np.array([[1.0, 2.0], [3.0, 4.0], [math.nan, math.inf]])
    np.savez(tmp_path / "data.npz", x=x, y=np.arange(3.0))
    with pytest.raises(ValueError, match="'x' .* but 2 of its 6 entries .* in row 3;"):
        from_file(tmp_path / "data.npz", x="x", y="y")


def test_ragged_lines_and_lengths(write, tmp_path):
    for row in ("3", "3,4,5"):
        path = write(f"x,y\n1,2\n\n{row}\n")
        fields = row.count(",") + 1
        message = f"must have 2 fields like its header, but line 4 has {fields}"
        with pytest.raises(ValueError, match=message):
            from_file(path, x="x", y="y")
    np.savez(tmp_path / "data.npz", x=np.zeros((4, 2)), y=np.arange(3.0))
    with pytest.raises(
        ValueError, match="one number of rows, but 'x' has 4, 'y' has 3"
    ):
        from_file(tmp_path / "data.npz", x="x", y="y")


def test_labels_that_do_not_fit_the_loss(write):
    path = write("x,y,w,p,q\n1,0,a,0.5,0.4\n2,1,a,1,0\n3,0.5,a,0,1\n")
    with pytest.raises(
        ValueError, match="Column 'y' of .* −1 or .1 for the logistic loss, but 2 of 3"
    ):
        from_file(path, x="x", y="y", loss="logistic")
    with pytest.raises(
        ValueError, match="'y' .* class labels, words or whole numbers, but row 3 holds"
    ):
        from_file(path, x="x", y="y", loss="cross_entropy")
    with pytest.raises(
        ValueError, match="'w' of .* two classes or more, but holds 'a'"
    ):
        from_file(path, x="x", y="w", loss="cross_entropy")
    with pytest.raises(ValueError, match="Column 'p', 'q' of .* sum to one .* row 1"):
        from_file(path, x="x", y=["p", "q"], loss="cross_entropy")
    with pytest.raises(ValueError, match=r"one-hot rows of shape \(K, classes\), but"):
        from_file(path, x="x", y="y", loss="cross_entropy", one_hot=False)
    with pytest.raises(
        ValueError, match="one column of class labels for `one_hot=True`"
    ):
        from_file(path, x="x", y=["p", "q"], one_hot=True)


def test_missing_labels(write):
    path = write("x,y\n1,a\n2,\n3,b\n")
    with pytest.raises(
        ValueError, match="'y' .* but 1 of its 3 entries are missing, the"
    ):
        from_file(path, x="x", y="y", loss="cross_entropy")


def test_constant_column_cannot_be_standardised(write, tmp_path):
    path = write("x,k,y\n1,7,2\n2,7,2\n")
    message = (
        r"Column 'k' of .* must vary to be standardised, but is 7.0 in every row; "
        r"leave it out or set `standardise=False`\.$"
    )
    with pytest.raises(ValueError, match=message):
        from_file(path, x=["x", "k"], y="y", standardise="x")
    with pytest.raises(ValueError, match="Column 'y' of .* is 2.0 in every row"):
        from_file(path, x="x", y="y", standardise=True)
    from_file(path, x=["x", "k"], y="y")
    np.savez(
        tmp_path / "data.npz",
        a=np.arange(2.0),
        X=np.array([[1, 5, 2], [2, 5, 3]]),
        y=np.arange(2.0),
    )
    with pytest.raises(
        ValueError, match=r"Column 'X'\[:, 1\] of .* is 5.0 in every row"
    ):
        from_file(tmp_path / "data.npz", x=["a", "X"], y="y", standardise=True)


def test_bad_weights(write):
    path = write("x,y,m\n1,2,1\n3,4,-1\n")
    with pytest.raises(ValueError, match="`weights` must be non-negative.*is -1.0"):
        from_file(path, x="x", y="y", weights="m")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"x": []}, TypeError, r"`x` must be a column name or a list.*but is \[\]"),
        ({"x": 3}, TypeError, "`x` must be a column name or a list of them, but is 3"),
        ({"y": ["y", 3]}, TypeError, "`y` must hold column names, but one is 3"),
        ({"weights": ["m", "x2"]}, TypeError, "`weights` must be one column name, but"),
        (
            {"standardise": "y"},
            ValueError,
            "`standardise` must be true, false or 'x'.*'y'",
        ),
        (
            {"one_hot": "yes"},
            TypeError,
            "`one_hot` must be true or false, but is 'yes'",
        ),
        ({"num_data": 3}, ValueError, "`num_data` must be at most the 2 data"),
        ({"loss": "square"}, ValueError, "'square'; did you mean 'squared'"),
        (
            {"normalisation": "total"},
            ValueError,
            "normalisation must be one of mean, sum",
        ),
        ({"dtype": "int64"}, TypeError, "`dtype` must name a floating-point type"),
    ],
)
def test_bad_options(write, options, error, message):
    path = write("x,x2,y,m\n1,2,3,1\n3,4,5,2\n")
    with pytest.raises(error, match=message):
        from_file(path, **{"x": "x", "y": "y", **options})


def test_a_path_that_is_no_path():
    with pytest.raises(TypeError, match="`path` must be a path, but is 3"):
        from_file(3, x="x", y="y")
