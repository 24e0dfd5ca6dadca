"""Remission times in weeks (Freireich et al. 1963), a textbook example."""

import numpy as np

# Under 6-mercaptopurine, nine seen to end and twelve censored; under placebo, all seen.
TREATED = [6, 6, 6, 7, 10, 13, 16, 22, 23, 6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
PLACEBO = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]
WEEKS = np.array(TREATED + PLACEBO, float)
CENSORED = np.array([False] * 9 + [True] * 12 + [False] * 21)
TREATMENT = np.repeat(["treated", "placebo"], 21)
