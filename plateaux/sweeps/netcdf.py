"""A sweep as one NetCDF file."""

from pathlib import Path
from typing import Any

import numpy as np

from .reading import Sweep


def write_netcdf(file: Path, stored: Sweep) -> None:
    """Write the arrays of a sweep, a few thousand lanes at a time.

    Truth values are bytes with the attribute dtype = "bool", as xarray has them, which
    reads the file back as it was.

    Args:
        file: The file to write.
        stored: The sweep.
    """
    dataset = stored.dataset
    with import_netcdf().Dataset(file, "w") as target:
        words = {str(k): str(v) for k, v in dataset.attrs.items()}
        words["coordinates"] = " ".join(map(str, dataset.coords))
        target.setncatts(words | {"specification": stored.spec.to_toml()})
        for dim, size in dataset.sizes.items():
            target.createDimension(dim, size)
        for name, array in dataset.variables.items():
            _create(target, str(name), array)
            if "lane" not in array.dims:
                target[name][:] = _plain(array.values)
        for point, lanes in stored.blocks():
            here = dataset.isel(point=point, lane=lanes)
            for name, array in here.data_vars.items():
                if "lane" in array.dims:
                    target[name][point, lanes] = _plain(array.values)


def import_netcdf() -> Any:
    """The netCDF4 module; a refusal that says how to install it if it is missing."""
    try:
        import netCDF4
    except ImportError as error:
        raise ImportError(
            "NetCDF files need netCDF4, which is not installed; run "
            "`pip install 'plateaux[data]'`."
        ) from error
    return netCDF4


def _create(target: Any, name: str, array: Any) -> None:
    text, truth = array.dtype.kind in "OUT", array.dtype == bool
    kind = str if text else "i1" if truth else array.dtype.str[1:]
    options = {} if text else {"zlib": True, "complevel": 1, "fill_value": False}
    made = target.createVariable(name, kind, array.dims, **options)
    made.set_auto_maskandscale(False)
    made.setncatts({k: v for k, v in array.attrs.items() if k != "_FillValue"})
    if truth:
        made.setncattr("dtype", "bool")


def _plain(values: np.ndarray) -> np.ndarray:
    """Values of a type that NetCDF has."""
    if values.dtype == bool:
        return values.astype(np.int8)
    return values.astype(object) if values.dtype.kind in "UT" else values
