r"""
An estimator for scikit-learn
=============================

`px.sklearn.ANLSRegressor` trains several starts by active-neuron least squares and
keeps the best. It is an ordinary estimator, for pipelines, searches and
cross-validation. Here three neurons learn a target with two creases in the plane from
noisy data: predictions for data kept aside, and a linear regression beside them.

See also: :doc:`/tutorials/anls`.
"""

import jax
import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import train_test_split

import plateaux as px

jax.config.update("jax_enable_x64", True)

rng = np.random.default_rng(0)
X = rng.uniform(-1, 1, size=(200, 2))
y = np.abs(X[:, 0]) + np.abs(X[:, 1]) + 0.05 * rng.normal(size=200)
seen_X, kept_X, seen_y, kept_y = train_test_split(X, y, test_size=0.4, random_state=0)
models = {
    "linear regression": LinearRegression(),
    "three neurons": px.sklearn.ANLSRegressor(
        3, n_init=4, max_steps=20, random_state=0
    ),
}

# %%
# Every method of an estimator is there.

fig, ax = plt.subplots(figsize=(4.8, 4.4), layout="constrained")
for (name, model), color in zip(models.items(), ("#D55E00", "#0072B2"), strict=True):
    model.fit(seen_X, seen_y)
    score = model.score(kept_X, kept_y)
    print(f"{name}: R² {score:.3f} on data kept aside")
    ax.plot(kept_y, model.predict(kept_X), "o", markersize=4, color=color, label=name)
ax.axline((1, 1), slope=1, color="black", linewidth=0.8)
ax.set(xlabel="target", ylabel="prediction", aspect="equal")
ax.legend()
plt.show()
