r"""
An estimator for scikit-learn
=============================

`px.sklearn.ANLSRegressor` trains several starts by active-neuron least squares and keeps the
best. It is an ordinary estimator: here it is cross-validated over its number of neurons on
noisy data with a known kink in the plane, where two neurons are enough.

See also: :doc:`/anls`.
"""

import jax
import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import cross_val_score

import plateaux as px

jax.config.update("jax_enable_x64", True)

rng = np.random.default_rng(0)
X = rng.uniform(-1, 1, size=(150, 2))
y = np.abs(X[:, 0] + X[:, 1]) + 0.1 * rng.normal(size=150)


def scores(n_neurons):
    """R² on each of four folds."""
    model = px.sklearn.ANLSRegressor(
        n_neurons, n_init=4, max_steps=20, random_state=0
    )
    return cross_val_score(model, X, y, cv=4)


# %%
# Each point is a fold; the line is their mean.

neurons = [1, 2, 4, 8]
found = np.array([scores(n) for n in neurons])
for n, row in zip(neurons, found, strict=True):
    print(f"{n} neurons: R² {row.mean():.3f}")
fig, ax = plt.subplots(figsize=(5.5, 3.8), layout="constrained")
ax.plot(neurons, found, "o", color="#56B4E9")
ax.plot(neurons, found.mean(axis=1), color="#0072B2")
ax.set(xscale="log", xlabel="neurons", ylabel="R² on data kept aside")
ax.set_xticks(neurons, neurons)
ax.set_xticks([], minor=True)
plt.show()
