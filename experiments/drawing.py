"""What the figures of the experiments share: colours, and how they are written."""

from pathlib import Path

# Okabe & Ito (2008)
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


def size_axis(ax, label: str, sizes) -> None:
    """Sizes on a logarithmic axis whose ticks are these."""
    ax.set(xscale="log", xlabel=label)
    ax.set_xticks(sizes, [f"{size:g}" for size in sizes])
    ax.set_xticks([], minor=True)


def save(fig, path: Path, dpi: int = 100) -> None:
    """Write and close a figure."""
    import matplotlib.pyplot as plt

    fig.savefig(path, dpi=dpi)
    plt.close(fig)
