import json

import matplotlib

matplotlib.use("Agg")

import jax  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402
import xarray  # noqa: E402

import plateaux as px  # noqa: E402
from plateaux.report.frames import shown  # noqa: E402
from plateaux.report.groups import group  # noqa: E402
from plateaux.report.html import page  # noqa: E402
from plateaux.report.view import chosen_lane, render, view  # noqa: E402
from plateaux.sweeps import SweepSpec, open_sweep, sweep  # noqa: E402

NUM_TIMES, NUM_ROWS = 12, 4
COMPARED = ("outcomes", "comparison", "heat_map", "final_losses")


def fabricate(labels=("scale=1", "scale=2"), lanes=20, seed=0):
    """A dataset as a sweep stores it: random, every lane done, two lanes diverged.

    Unused rows of a table, and the times that a shorter run lacks, hold the fill
    values of the store.
    """
    rng = np.random.default_rng(seed)
    points = len(labels)
    shape = (points, lanes)
    times = np.tile(np.r_[0.0, np.geomspace(0.1, 100.0, NUM_TIMES - 1)], (points, 1))
    loss = np.exp(-np.cumsum(rng.random((*shape, NUM_TIMES)), axis=-1))
    loss[:, :2, 6:] = np.inf
    outcome = np.zeros(shape, np.int8)
    outcome[:, :2] = 1
    times[-1, 9:], loss[-1, :, 9:] = np.nan, np.nan
    final = loss[..., -1].copy()
    final[-1] = loss[-1, :, 8]
    columns = {
        "times": (("point", "time"), times),
        "loss": (("point", "lane", "time"), loss),
        "final_loss": (("point", "lane"), final),
        "outcome": (("point", "lane"), outcome),
        "dead_neurons": (("point", "lane"), rng.integers(0, 6, shape, np.int32)),
        "done": (("point", "lane"), np.ones(shape, bool)),
    }
    for by in ("slope", "pattern"):
        count = rng.integers(0, NUM_ROWS + 1, shape, np.int32)
        used = np.arange(NUM_ROWS) < count[..., None]
        edges = np.cumsum(rng.random((*shape, NUM_ROWS + 1)), axis=-1)
        edges[:, ::2] -= edges[:, ::2, :1]  # every other lane begins with a plateau
        start, end = (
            np.where(used, e, np.inf) for e in (edges[..., :-1], edges[..., 1:])
        )
        dwell = np.where(used, np.diff(edges, axis=-1), 0.0)
        last = np.arange(NUM_ROWS) == count[..., None] - 1
        table = {"start": start, "end": end, "dwell": dwell, "censored": used & last}
        numbers = {
            "count": count,
            "raw_count": 10 * count,
            "overflow": np.zeros(shape, bool),
        }
        for name, array in table.items():
            columns[f"{by}_{name}"] = (("point", "lane", "plateau"), array)
        for name, array in numbers.items():
            columns[f"{by}_{name}"] = (("point", "lane"), array)
    coords = {
        "label": ("point", np.array(labels, object)),
        "time_unit": ("point", np.array(["flow time of L"] * points, object)),
    }
    dataset = xarray.Dataset(columns, coords)
    dataset["outcome"].attrs = {
        "flag_values": [0, 1],
        "flag_meanings": "completed diverged",
    }
    return dataset


def settings(points=2, **plateaus):
    """Every grid point's tables, as a sweep gives them."""
    return [
        {
            "problem": {"name": "sine"},
            "network": {"kind": "two_layer", "width": 5},
            "method": {"optimizer": "sgd", "step_size": 0.1, "chatter_window": 77},
            "recording": {"num_times": NUM_TIMES, "max_events": 33},
            "plateaus": {"by": ("slope", "pattern"), "max_plateaus": NUM_ROWS}
            | plateaus,
        }
        for _ in range(points)
    ]


MANIFEST = {
    "spec_hash": "abc123",
    "precision": "float64",
    "git": None,
    "runs": [{"device": "cpu", "versions": {"python": "3.11.7", "plateaux": "9.8.7"}}],
    "data": {"scale=1": "feed"},
}


def arguments(dataset=None, **changes):
    """What `render` takes."""
    dataset = fabricate() if dataset is None else dataset
    given = {
        "dataset": dataset,
        "settings": settings(dataset.sizes["point"]),
        "spec": {"name": "two scales", "method": {"step_size": [0.1, 0.2]}},
        "toml": 'name = "two scales"\n',
        "manifest": MANIFEST,
        "directory": "runs/two scales",
    }
    return given | changes


@pytest.fixture
def no_pictures(monkeypatch):
    """Stand-ins for the pictures, which take most of the time."""
    from plateaux.report import figures

    drawn = []

    def stand_in(*args):
        drawn.append(args)
        return b"picture"

    for name in ("overview", *COMPARED, "run"):
        monkeypatch.setattr(figures, name, stand_in)
    return drawn


def numbers_of(page):
    """The numbers that a page holds for the slider."""
    start = page.index(">", page.index('id="run-data"')) + 1
    return json.loads(page[start : page.index("</script>", start)])


def page_of(folder, **asked):
    """A page with nothing but the run with the slider."""
    sweep = open_sweep(folder)
    groups = [group(sweep.dataset, i, 5, {}) for i in range(len(sweep.points))]
    choice = chosen_lane(groups, asked.get("point"), asked.get("lane"))
    return page("A run", [view(sweep, groups, choice)])


@pytest.fixture(scope="session")
def stored(tmp_path_factory):
    """The folder of a small sweep, two grid points of four lanes."""
    folder = tmp_path_factory.mktemp("runs") / "small sweep"
    spec = SweepSpec(
        name="small",
        problem={"name": "sine", "num_data": 9},
        network={"width": 3},
        initialiser={"name": "he", "scale": [0.1, 1.0]},
        method={"step_size": 0.05, "num_steps": 60},
        recording={"num_times": 20},
        sweep={"lanes": 4, "chunk": 4},
    )
    sweep(spec, folder)
    return folder


@pytest.fixture(scope="session")
def slider_page(stored):
    """The page of a run with a slider: lane 2 of the first grid point."""
    return page_of(stored, point=0, lane=2)


@pytest.fixture(scope="session")
def told(slider_page):
    """The numbers in that page."""
    return numbers_of(slider_page)


@pytest.fixture(scope="session")
def large_run():
    """A problem with two inputs and a run of a wide network with many saved times."""
    problem = px.problems.disk(num_side=20)
    network = px.networks.he(jax.random.key(0), width=100, in_dim=2)
    run = px.descend(
        problem,
        network,
        px.gradient_descent(0.01),
        num_steps=1000,
        save=px.every(2),
        record={"network": lambda problem, network: network},
    )
    return problem, run


@pytest.fixture(scope="session")
def plane_page(large_run):
    """The page of a run with two inputs, with a lane's name and plateaus made up."""
    groups = [group(fabricate(), 0, 5, {})]
    return page("A run", [render(chosen_lane(groups, 0, 3), shown(*large_run))])
