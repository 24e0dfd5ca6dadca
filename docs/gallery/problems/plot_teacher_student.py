r"""
Teacher and students
====================

A ReLU network with four neurons, the teacher, makes the targets of students of five widths.
Left: medians of the loss over 16 starts each. A student as small as its teacher gets stuck
in plateaus; wide ones do not. Right: cosines between the input weights of one wide student
after training, in blocks: its neurons have gathered along a few directions.

See also: :func:`plateaux.problems.teacher_student`.
"""

import jax
import matplotlib.pyplot as plt

import plateaux as px

jax.config.update("jax_enable_x64", True)

problem = px.problems.teacher_student(num_data=200, in_dim=4, teacher_width=4)


def students(width):
    """Sixteen runs of one width."""
    draw = lambda key: px.networks.he(key, width=width, in_dim=4, scale=0.3)
    train = lambda key: px.descend(
        problem, draw(key), px.gradient_descent(0.1), num_steps=2000, watch=False
    )
    return jax.vmap(train)(jax.random.split(jax.random.key(0), 16))


runs = {width: students(width) for width in (4, 8, 32)}

# %%
# The medians with their quartiles, and one wide student.

fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for (width, each), color in zip(
    runs.items(), ("#0072B2", "#D55E00", "#009E73"), strict=True
):
    band = px.statistics.quantile_band(each.losses, [0.5])
    px.plot.ensemble_band(
        each.times[0], band, [0.5], label=f"{width} neurons", color=color, ax=left
    )
left.set_xlabel("flow time")
student = jax.tree.map(lambda leaf: leaf[0], runs[32].network)
px.plot.condensation_map(
    px.diagnostics.cosine_similarity(problem, student),
    px.diagnostics.display_order(problem, student),
    ax=right,
)
plt.show()
