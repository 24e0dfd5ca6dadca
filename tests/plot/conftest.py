import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
import pytest  # noqa: E402


@pytest.fixture
def ax():
    """Axes to draw into; every artist is drawn once, without pixels."""
    axes = plt.subplots()[1]
    yield axes
    axes.figure.draw_without_rendering()
    plt.close("all")


@pytest.fixture
def undrawn():
    """Axes to draw into for tests that draw the figure themselves, or need not."""
    yield plt.subplots(layout="constrained")[1]
    plt.close("all")
