import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
import pytest  # noqa: E402


@pytest.fixture
def ax():
    """Axes to draw into; every figure is drawn once, then closed."""
    axes = plt.subplots(layout="constrained")[1]
    yield axes
    axes.figure.canvas.draw()
    plt.close("all")
