import functools as ft
import sys

import numpy as np
import pandas
import pytest
import xarray

from plateaux.sweeps import SweepError, SweepSpec, export, open_sweep, reading, sweep

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
    # pandas before 3 reads decimals to within a rounding, Python exactly
    exactly = ft.partial(pandas.read_csv, converters={"final_loss": float})
    read = {"csv": exactly, "parquet": pandas.read_parquet}[format]
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


def test_netcdf_is_read_back_as_it_was(folder, results, tmp_path):
    (file,) = export(folder, tmp_path, format="netcdf")
    assert file == tmp_path / "sweep.nc"
    with xarray.open_dataset(file, engine="netcdf4") as found:
        found.load()
    assert SweepSpec.from_toml(found.attrs.pop("specification")) == tiny()
    found.attrs.pop("coordinates", None)
    xarray.testing.assert_identical(found.drop_attrs(), results.drop_attrs())
    for name in results.variables:
        pairs = [found[name].attrs, results[name].attrs]
        one, other = ({k: np.array(v).tolist() for k, v in a.items()} for a in pairs)
        assert one == other
        kinds = [d[name].dtype.kind for d in (found, results)]
        assert kinds[0] == kinds[1] or set(kinds) <= set("OTU")
    assert found.attrs["spec_hash"] == tiny().hash


@pytest.mark.parametrize("format", ["csv", "netcdf"])
def test_blocks_of_lanes_make_no_difference(folder, tmp_path, monkeypatch, format):
    whole = export(folder, tmp_path / "whole", format=format)
    monkeypatch.setattr(reading, "BLOCK", 2)
    assert len(list(open_sweep(folder).blocks())) == 6
    blocks = export(folder, tmp_path / "blocks", format=format)
    for one, other in zip(whole, blocks, strict=True):
        if format == "csv":
            order = ["point", "lane"] + ["definition", "number"] * ("pl" in one.name)
            one, other = (
                pandas.read_csv(f).sort_values(order, ignore_index=True)
                for f in (one, other)
            )
            pandas.testing.assert_frame_equal(one, other)
        else:
            assert xarray.load_dataset(one).identical(xarray.load_dataset(other))


@pytest.mark.parametrize("module", ["pandas", "netCDF4"])
def test_packages_that_are_not_installed(folder, monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=r"pip install 'plateaux\[data\]'"):
        export(folder, format="netcdf" if module == "netCDF4" else "csv")


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
