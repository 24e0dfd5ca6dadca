r"""
Teacher and students
====================

A ReLU network with four neurons, the teacher, makes the targets of students of two
widths. Left: medians of the loss over 16 starts each. Right: distributions of the last
losses. A student as small as its teacher could be exact, yet some of them end far above
the others; of the wider ones none does.

See also: :func:`plateaux.problems.teacher_student`.
"""

import jax
import matplotlib.pyplot as plt

import plateaux as px

jax.config.update("jax_enable_x64", True)

problem = px.problems.teacher_student(num_data=100, in_dim=4, teacher_width=4)


def students(width):
    """Sixteen runs of one width."""
    draw = lambda key: px.networks.he(key, width=width, in_dim=4, scale=0.3)
    train = lambda key: px.descend(
        problem, draw(key), px.gradient_descent(0.1), num_steps=1000, watch=False
    )
    return jax.vmap(train)(jax.random.split(jax.random.key(0), 16))


runs = {width: students(width) for width in (4, 16)}

# %%
# Medians over time, and where all runs ended.

fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for (width, each), color in zip(runs.items(), ("#0072B2", "#D55E00"), strict=True):
    (median,) = px.statistics.quantiles(each.losses, [0.5])
    px.plot.loss_curve(
        each.times[0], median, label=f"{width} neurons", color=color, ax=left
    )
left.set(xlabel=each.time_unit, ylabel="median loss")
px.plot.distribution(
    {f"{width} neurons": each.losses[:, -1] for width, each in runs.items()}, ax=right
)
plt.show()
