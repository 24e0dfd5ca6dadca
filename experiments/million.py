"""Where a million networks, started as PyTorch starts them, come by gradient flow.

The sweep of million.toml: ten ReLU neurons on twenty points of a sine, along the exact
flow to time 50. Printed and drawn are the plateaus by slope without the one that every
run begins with; report.html has all. An interrupted run goes on where it was.

    python experiments/million.py [--smoke] [--out FOLDER]
"""

from dataclasses import dataclass
from pathlib import Path

from sweeping import specification, study

from plateaux.experiments import main


@dataclass(frozen=True)
class Config:
    """How many networks.

    Attributes:
        lanes: Networks.
        chunk: Networks that queue for 64 places.
        view: Whether the report shows one run with a slider, which trains it again.
    """

    lanes: int = 1_000_000
    chunk: int = 4096
    view: bool = True


SMOKE = Config(lanes=64, chunk=64, view=False)


def run(config: Config, out: Path) -> dict:
    """Run, report, print, draw."""
    sweep = {"lanes": config.lanes, "chunk": config.chunk}
    return study(__file__, specification(__file__, sweep=sweep), config.view, out)


if __name__ == "__main__":
    main(__file__, run, SMOKE)
