r"""
Ranks of random starts
======================

ε-ranks of the last hidden layer of 100 networks as they are drawn, for two initialisers
and one structured first layer. Usual starts have two to six different functions among
thirty neurons; a first layer that spreads its features over the domain has many from
the beginning, and leaves no stairs to climb.

After Yang, Zhao & Zhu (2024), `arXiv:2412.05144 <https://arxiv.org/abs/2412.05144>`_.
See also: :doc:`/tutorials/staircase`, and `experiments/rank_starts.py`.
"""

import jax

import plateaux as px

jax.config.update("jax_enable_x64", True)

rule = px.problems.gauss_legendre(40)


def ranks(**options):
    """ε-ranks of 100 draws."""

    def spectrum(key):
        network = px.networks.mlp(
            key, widths=(30, 30), in_dim=1, activation="tanh", **options
        )
        return px.diagnostics.spectrum(None, network, quadrature=rule)

    found = jax.jit(jax.vmap(spectrum))(jax.random.split(jax.random.key(0), 100))
    return px.diagnostics.epsilon_rank(found, 1e-6)


# %%
# One row an initialiser; the black line is the median.

rows = {name: ranks(initialiser=name) for name in ("xavier", "pytorch")}
rows["structured, γ = 15"] = ranks(
    initialiser="pytorch", first_layer="structured", first_layer_options={"gamma": 15.0}
)
ax = px.plot.rank_ridges(list(rows.values()), list(rows))
ax.set_xlabel("ε-rank at the start, ε = 10⁻⁶")
