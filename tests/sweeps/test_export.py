import numpy as np
import pandas
import pytest

from plateaux.sweeps import SweepError, export, sweep

from .conftest import tiny


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    directory = tmp_path_factory.mktemp("export")
    sweep(tiny(), directory)
    return directory


@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_tables(folder, results, tmp_path, format):
    files = export(folder, tmp_path, format=format)
    assert [file.name for file in files] == [f"lanes.{format}", f"plateaus.{format}"]
    read = {"csv": pandas.read_csv, "parquet": pandas.read_parquet}[format]
    lanes, plateaus = (read(file) for file in files)
    assert len(lanes) == 10
    assert list(lanes["initialiser.name"].unique()) == ["he", "pytorch"]
    assert set(lanes["outcome"]) == {"completed"}
    row = lanes[(lanes.point == 1) & (lanes.lane == 4)].iloc[0]
    assert row["final_loss"] == float(results["loss"][1, 4, -1])
    assert row["pattern_count"] == int(results["pattern_count"][1, 4])
    counts = results["slope_count"].values.sum() + results["pattern_count"].values.sum()
    assert len(plateaus) == counts
    some = plateaus[
        (plateaus.point == 1)
        & (plateaus.lane == 2)
        & (plateaus.definition == "pattern")
    ]
    used = int(results["pattern_count"][1, 2])
    np.testing.assert_array_equal(some["number"], range(used))
    np.testing.assert_array_equal(some["start"], results["pattern_start"][1, 2, :used])
    np.testing.assert_array_equal(
        some["censored"], results["pattern_censored"][1, 2, :used]
    )


def test_into_the_sweeps_own_folder(folder):
    assert export(folder)[0] == folder / "lanes.csv"


def test_refusals(folder, tmp_path):
    with pytest.raises(ValueError, match="format must be .* did you mean 'csv'"):
        export(folder, format="cvs")
    with pytest.raises(SweepError, match="must hold a sweep"):
        export(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(SweepError, match="must be writable"):
        export(folder, tmp_path / "file" / "x")
