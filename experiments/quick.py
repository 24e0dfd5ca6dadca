"""How long plateaus last from four initialisations, on a sine and on diabetes data.

The main job, the sweep of quick.toml: 256 networks a grid point, trained by gradient
descent. Printed and drawn are the plateaus by slope without the one that every run
begins with; report.html has all.

    python experiments/quick.py [--smoke] [--out FOLDER]
"""

from dataclasses import dataclass
from pathlib import Path

from sweeping import specification, study

from plateaux.experiments import main


@dataclass(frozen=True)
class Config:
    """How much of the sweep.

    Attributes:
        problems: What is learnt.
        initialisers: How the networks start.
        lanes: Networks of every grid point.
        chunk: Networks trained together.
        view: Whether the report shows one run with a slider, which trains it again.
    """

    problems: tuple[str, ...] = ("sine", "diabetes")
    initialisers: tuple[str, ...] = ("he", "xavier", "pytorch", "balanced")
    lanes: int = 256
    chunk: int = 32
    view: bool = True


SMOKE = Config(initialisers=("he",), lanes=8, chunk=8, view=False)


def run(config: Config, out: Path) -> dict:
    """Run, report, print, draw."""
    spec = specification(
        __file__,
        problem={"name": list(config.problems)},
        initialiser={"name": list(config.initialisers)},
        sweep={"lanes": config.lanes, "chunk": config.chunk},
    )
    return study(__file__, spec, config.view, out)


if __name__ == "__main__":
    main(__file__, run, SMOKE)
