"""Deep random networks before training: signals, gradients and curvature vanish.

Neural chains and ReLU networks keep the mean of their squared norms at one, by a few
rare draws; the median decays with depth over width, as exact laws say, and gradient
and Hessian decay with it. Skips and normalisation undo that, in different ways.
Medians over draws, with 95 % intervals; networks whose gradient is exactly zero are
counted as dead, and left out of the medians.

    python experiments/vanishing_depth.py [--smoke] [--out FOLDER]
        [--parts chains widths architectures spectra]
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from vanishing import architectures, chains, figures, spectra, widths

from plateaux.experiments import main

Part = Literal["chains", "widths", "architectures", "spectra"]


@dataclass(frozen=True)
class Config:
    """Four parts; see above.

    Attributes:
        parts: Which of them.
        lanes: Chains of each depth; a half of them for widths, a tenth for spectra of
            chains, a fiftieth for architectures.
        chains: Which kinds of them.
        chain_depths: Depths L of chains.
        stacks: ReLU or linear networks, or both.
        depths: Of networks, and of the spectra of chains.
        initialisers: Of ReLU networks, at width 16; He's at all widths.
        widths: Units d of networks in a layer.
        architectures: Which ones.
        architecture_depths: Depths of these.
        spectrum_depths: Depths of the networks whose spectra are drawn.
    """

    parts: tuple[Part, ...] = get_args(Part)
    lanes: int = 2000
    chains: tuple[str, ...] = tuple(chains.CHAINS)
    chain_depths: tuple[int, ...] = (4, 8, 16, 32, 64, 256, 1000)
    stacks: tuple[str, ...] = tuple(widths.STACKS)
    depths: tuple[int, ...] = (4, 8, 16, 32, 64)
    initialisers: tuple[str, ...] = widths.INITIALISERS
    widths: tuple[int, ...] = (4, 16, 64)
    architectures: tuple[str, ...] = tuple(architectures.ARCHITECTURES)
    architecture_depths: tuple[int, ...] = (4, 16, 48)
    spectrum_depths: tuple[int, ...] = (4, 8, 16)


SMOKE = Config(
    lanes=40,
    chains=("Gaussian", "ReLU"),
    chain_depths=(4,),
    stacks=("ReLU",),
    depths=(4,),
    widths=(4,),
    initialisers=("he",),
    architectures=("plain",),
    architecture_depths=(4,),
    spectrum_depths=(4,),
)


def run(config: Config, out: Path) -> dict:
    """Run, print, draw."""
    made, lanes = {}, config.lanes
    if "chains" in config.parts:
        rows, seen = chains.measure_all(lanes, config.chains, config.chain_depths)
        made |= rows
        figures.draw_chains(rows, seen, out / "vanishing_depth.png")
    if "widths" in config.parts:
        size = config.stacks, config.depths, config.widths, config.initialisers
        rows, seen = widths.measure_all(max(lanes // 2, 40), *size)
        made |= rows
        figures.draw_widths(rows, seen, config.widths, out / "widths.png")
    if "architectures" in config.parts:
        names, depths = config.architectures, config.architecture_depths
        rows = architectures.measure_all(max(lanes // 50, 4), names, depths)
        made |= rows
        figures.draw_architectures(rows, names, out / "architectures.png")
    if "spectra" in config.parts:
        size = max(lanes // 10, 20), config.depths, config.spectrum_depths
        rows, seen = spectra.measure_all(*size)
        made |= rows
        figures.draw_spectra(seen, out / "spectra.png")
    return made


if __name__ == "__main__":
    main(__file__, run, SMOKE)
