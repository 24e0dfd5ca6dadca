r"""A slow, independent reference: Clarke gradient flow of a two-layer ReLU network.

NumPy and SciPy only, written to be read beside sections 1 to 4 of the theory note
"Exact gradient flow". With x̃ = (x, 1), z_ik = v_i·x̃_k, r_k = f(x_k) − y_k,

    f(x) = Σ_i c_i φ(v_i·x̃) + p·x̃,       L = Σ_k q_k r_k²/2,
    v̇_i = −c_i Σ_k α_ik q_k r_k x̃_k,      ċ_i = −Σ_k q_k r_k φ(z_ik),
    ṗ = −Σ_k q_k r_k x̃_k,

φ has slope 1 above zero and `slope` below; α_ik is that slope, or anything between
the two where z_ik = 0. α = slope + (1 − slope) a, so that a pair is off (a = 0), on
(a = 1) or sliding (z_ik = 0 held, 0 < a < 1).

Between events the modes are fixed and the field is smooth: DOP853. At an event every
assignment of modes to the neuron's pairs on their boundary is tried, fewest changes
first, and the first consistent one is taken.
"""

import itertools
from dataclasses import dataclass, field

import numpy as np
from scipy.integrate import DOP853
from scipy.optimize import brentq

OFF, ON, SLIDE = 0, 1, 2
KINDS = ("off", "on", "slide")
SAMPLES = 20
TINY = 1e-11


@dataclass(frozen=True)
class Setting:
    """Data and what is trained; d1 = d + 1."""

    x1: np.ndarray
    y: np.ndarray
    q: np.ndarray
    slope: float
    train_output: bool
    width: int
    affine: bool

    def pack(self, v, c, p):
        return np.concatenate([v.ravel(), c, p])

    def unpack(self, state):
        n, d1 = self.width, self.x1.shape[1]
        return state[: n * d1].reshape(n, d1), state[n * d1 : n * d1 + n], state[-d1:]


@dataclass
class Modes:
    """Modes of all pairs, and what follows from them while they last."""

    kind: np.ndarray
    came_from: np.ndarray
    dead: np.ndarray
    alpha: np.ndarray = field(init=False)
    projector: np.ndarray = field(init=False)
    sliding: dict = field(init=False)

    def refresh(self, setting):
        d1 = setting.x1.shape[1]
        self.alpha = np.where(self.kind == ON, 1.0, setting.slope)
        self.projector = np.tile(np.eye(d1), (len(self.kind), 1, 1))
        self.sliding = {}
        for i, row in enumerate(self.kind):
            held = np.flatnonzero(row == SLIDE)
            if self.dead[i]:
                self.projector[i] = 0
            elif held.size:
                self.sliding[i] = held
                span = setting.x1[held]
                self.projector[i] -= np.linalg.pinv(span) @ span


def residual(setting, modes, v, c, p):
    """r, with every pair on the straight line of its mode (z = 0 where it slides)."""
    z = v @ setting.x1.T
    return c @ (modes.alpha * z) + setting.x1 @ p - setting.y


def velocity(setting, modes, state):
    v, c, p = setting.unpack(state)
    z = v @ setting.x1.T
    qr = setting.q * (c @ (modes.alpha * z) + setting.x1 @ p - setting.y)
    free = -c[:, None] * ((modes.alpha * qr) @ setting.x1)
    v_dot = np.einsum("iab,ib->ia", modes.projector, free)
    c_dot = -((modes.alpha * z) @ qr)
    p_dot = -(qr @ setting.x1) if setting.affine else np.zeros_like(p)
    if not setting.train_output:
        c_dot, p_dot = np.zeros_like(c), np.zeros_like(p)
    return setting.pack(v_dot, np.where(modes.dead, 0.0, c_dot), p_dot)


def multipliers(x1, qr, slope, alpha, held):
    """The a of the held data: Σ_k α_k q_k r_k x̃_k is orthogonal to all of them."""
    outside = (alpha * qr) @ x1  # alpha holds the off slope at the held data
    matrix = (1 - slope) * (x1[held] @ x1[held].T) * qr[held]
    return np.linalg.lstsq(matrix, -x1[held] @ outside, rcond=1e-13)[0]


def guards(setting, modes, state, c_sign):
    """All quantities that must stay positive, by (what, neuron, datum)."""
    v, c, p = setting.unpack(state)
    z = v @ setting.x1.T
    qr = setting.q * residual(setting, modes, v, c, p)
    side = np.where(modes.kind == ON, 1.0, -1.0) * z
    side[(modes.kind == SLIDE) | modes.dead[:, None]] = np.inf
    ends = np.full((2, *z.shape), np.inf)
    for i, held in modes.sliding.items():
        a = multipliers(setting.x1, qr, setting.slope, modes.alpha[i], held)
        ends[0, i, held], ends[1, i, held] = a, 1 - a
    output = np.full_like(z, np.inf)
    for i in modes.sliding:
        output[i, 0] = c[i] * c_sign[i]
    return np.stack([side, ends[0], ends[1], output])


def first_event(setting, modes, dense, start, stop, c_sign):
    """Time and guard of the earliest sign change in (start, stop], or None."""
    times = np.linspace(start, stop, SAMPLES + 1)
    value = lambda t: guards(setting, modes, dense(t), c_sign)
    values = np.array([value(t) for t in times])
    found = []
    for place in np.argwhere(np.any(values[1:] < 0, axis=0)):
        place = tuple(place)
        column = values[(slice(None), *place)]
        after = 1 + int(np.argmax(column[1:] < 0))
        low, high = times[after - 1], times[after]
        if after == 1 and column[0] <= TINY:
            # It starts on the boundary: look for a positive value just after.
            near = start + (high - start) * 2.0 ** -np.arange(1, 30)
            positive = [t for t in near if value(t)[place] > 0]
            low = positive[0] if positive else None
        if low is None:
            found.append((start, place))
        else:
            root = brentq(lambda t, at=place: value(t)[at], low, high, xtol=1e-15)
            found.append((root, place))
    return min(found, default=None)


def polished(setting, modes, state, start, guess, guard, c_sign, tolerances):
    """State at the event: integrate to the guess, then one Newton step in time."""
    state, time = integrate(setting, modes, state, start, guess, tolerances), guess
    if time > start:
        rate = velocity(setting, modes, state)
        value = lambda dt: guards(setting, modes, state + dt * rate, c_sign)[guard]
        slope = (value(1e-6) - value(-1e-6)) / 2e-6
        shift = -value(0.0) / slope if slope != 0 else 0.0
        if abs(shift) < 1e-7:
            time, state = time + shift, state + shift * rate
    return time, state


def integrate(setting, modes, state, start, stop, tolerances):
    if stop <= start:
        return state
    field_ = lambda _, s: velocity(setting, modes, s)
    solver = DOP853(field_, start, state, stop, first_step=stop - start, **tolerances)
    while solver.status == "running":
        solver.step()
    return solver.y


def consistent_row(setting, row, boundary, options, qr, c_i):
    """Modes of one neuron whose pairs in `boundary` all do what their mode says.

    A pair with one option only has just left sliding: its velocity is zero up to the
    error of the event time, and is not looked at.
    """
    x1, slope = setting.x1, setting.slope
    choices = itertools.product(*(options[k] for k in boundary))
    changes = lambda choice: sum(
        new != row[k] for new, k in zip(choice, boundary, strict=True)
    )
    for choice in sorted(choices, key=changes):
        trial = row.copy()
        trial[boundary] = choice
        held = np.flatnonzero(trial == SLIDE)
        alpha = np.where(trial == ON, 1.0, slope)
        if held.size:
            if np.linalg.matrix_rank(x1[held]) == x1.shape[1]:
                continue  # only v = 0 is left
            a = multipliers(x1, qr, slope, alpha, held)
            if np.any(a <= 0) or np.any(a >= 1):
                continue
            alpha[held] += (1 - slope) * a
        z_dot = x1 @ (-c_i * ((alpha * qr) @ x1))
        scale = TINY * max(1.0, np.max(np.abs(c_i * qr[:, None] * x1)))
        pairs = zip(choice, boundary, strict=True)
        if all(
            len(options[k]) == 1 or agrees(mode, z_dot[k], scale) for mode, k in pairs
        ):
            return trial
    raise RuntimeError(f"No consistent modes at {boundary} from {row[boundary]}.")


def agrees(mode, z_dot, scale):
    """Whether a pair on its boundary moves as its mode says, up to round-off."""
    if mode == OFF:
        return z_dot <= scale
    return z_dot >= -scale if mode == ON else abs(z_dot) <= 100 * scale


def new_row(setting, modes, state, guard):
    """Modes of the neuron after its event."""
    what, i, k = guard
    v, c, p = setting.unpack(state)
    qr = setting.q * residual(setting, modes, v, c, p)
    c_i = c[i]
    if what == 3:  # c_i is zero: velocities of the sign it is about to have
        c_i = setting.unpack(velocity(setting, modes, state))[1][i]
    row = modes.kind[i].copy()
    z = setting.x1 @ v[i]
    size = np.linalg.norm(v[i]) * np.linalg.norm(setting.x1, axis=1)
    boundary = np.flatnonzero((np.abs(z) <= TINY * size) | (row == SLIDE))
    boundary = np.union1d(boundary, [k]) if what == 0 else boundary
    options = {}
    for j in boundary:
        convex = c_i * qr[j] * (1 - setting.slope) > 0
        options[j] = (OFF, ON, SLIDE) if convex else (OFF, ON)
        if row[j] == SLIDE and not convex:
            row[j] = modes.came_from[i, j]
    if what in (1, 2):
        options[k] = (OFF,) if what == 1 else (ON,)
    elif what == 0:
        options[k] = tuple(m for m in options[k] if m != row[k])
    return consistent_row(setting, row, boundary, options, qr, c_i)


def apply_row(setting, modes, state, i, row, events, time):
    """Record the changes of neuron i, project it on its sliding data, set modes."""
    old = modes.kind[i].copy()
    for k in np.flatnonzero(row != old):
        events.append((time, i, int(k), KINDS[row[k]]))
        if row[k] == SLIDE:
            modes.came_from[i, k] = old[k]
    modes.kind[i] = row
    v, c, p = setting.unpack(state.copy())
    held = np.flatnonzero(row == SLIDE)
    if held.size:
        span = setting.x1[held]
        v[i] -= np.linalg.pinv(span) @ (span @ v[i])
    modes.dead[i] = setting.slope == 0 and not np.any(row != OFF)
    modes.refresh(setting)
    return setting.pack(v, c, p)


def collapse(setting, modes, state, i, events, time):
    """Absorb neuron i at v_i = 0; its (first) sliding datum goes into the record."""
    datum = int(np.flatnonzero(modes.kind[i] == SLIDE)[0])
    events.append((time, i, datum, "collapse"))
    modes.kind[i], modes.dead[i] = OFF, True
    modes.refresh(setting)
    v, c, p = setting.unpack(state.copy())
    v[i] = 0
    return setting.pack(v, c, p)


def initial_modes(setting, state):
    v, c, p = setting.unpack(state)
    kind = np.where(v @ setting.x1.T > 0, ON, OFF)
    modes = Modes(kind, kind.copy(), np.zeros(len(v), bool))
    modes.refresh(setting)
    events = []
    for i, k in np.argwhere(v @ setting.x1.T == 0):
        if np.any(v[i]):
            row = new_row(setting, modes, state, (-1, i, k))
            state = apply_row(setting, modes, state, i, row, events, 0.0)
    modes.dead |= ~np.any(v, axis=1) | (
        (setting.slope == 0) & np.all(modes.kind == OFF, axis=1)
    )
    modes.refresh(setting)
    return modes, state, events


def reference_flow(
    x,
    y,
    v,
    c,
    t1,
    *,
    weights=None,
    slope=0.0,
    p=None,
    rtol=1e-12,
    atol=1e-14,
    train_output=True,
    save_at=(),
    max_events=2000,
    on_collapse=None,
):
    """The exact flow from (v, c, p) at time 0 to time t1.

    `weights` are the q_k of L = Σ q_k r_k²/2 (1/K if None); without `p` the network
    has no affine part. `save_at` are times at which (v, c, p, loss) are kept.
    `on_collapse(time, neuron, v, c, p, kind)` is called just before a collapse.
    """
    x, y, v, c = (np.asarray(array, float) for array in (x, y, v, c))
    x1 = np.column_stack([x, np.ones(len(x))])
    q = np.full(len(x), 1 / len(x)) if weights is None else np.asarray(weights, float)
    affine = p is not None
    setting = Setting(x1, y, q, slope, train_output, len(v), affine)
    state = setting.pack(v, c, np.asarray(p, float) if affine else np.zeros_like(x1[0]))
    tolerances = {"rtol": rtol, "atol": atol}
    modes, state, events = initial_modes(setting, state)
    time, sliding_time, most, stops = 0.0, 0.0, 0, sorted({*save_at, t1})
    samples, num_steps = [], 0
    most = max(map(len, modes.sliding.values()), default=0)
    while time < t1:
        start, stop = time, stops[0]
        outcome = run_mode(setting, modes, state, start, stop, tolerances)
        time, state, guard, steps = outcome
        num_steps += steps
        sliding_time += (time - start) if modes.sliding else 0.0
        if guard is None:
            stops = stops[1:]
            samples.append(summary(setting, modes, state) | {"time": time})
            continue
        what, i, _ = guard
        held = setting.x1[modes.kind[i] == SLIDE]
        # On a line, all other boundaries of the neuron meet in v_i = 0.
        on_a_line = held.size and np.linalg.matrix_rank(held) == x1.shape[1] - 1
        if what == 0 and on_a_line:
            if on_collapse is not None:
                on_collapse(time, i, *setting.unpack(state), modes.kind[i].copy())
            state = collapse(setting, modes, state, i, events, time)
        else:
            row = new_row(setting, modes, state, guard)
            state = apply_row(setting, modes, state, i, row, events, time)
        most = max([most, *map(len, modes.sliding.values())])
        if len(events) > max_events:
            raise RuntimeError(f"More than {max_events} events, last {events[-5:]}.")
    result = summary(setting, modes, state)
    columns = list(zip(*events, strict=True)) or [(), (), (), ()]
    return result | {
        "times": np.array(columns[0], float),
        "neuron": np.array(columns[1], int),
        "datum": np.array(columns[2], int),
        "kind": list(columns[3]),
        "sliding_time": sliding_time,
        "max_sliding_on_one_neuron": most,
        "num_steps": num_steps,
        "sliding_pairs": int(sum(map(len, modes.sliding.values()))),
        "samples": samples,
    }


def run_mode(setting, modes, state, start, stop, tolerances):
    """Integrate until the first event or `stop`: time, state, guard or None, steps."""
    c_sign = np.sign(setting.unpack(state)[1])
    for i in modes.sliding:
        if abs(setting.unpack(state)[1][i]) < TINY:
            c_sign[i] = 0.0
    field_ = lambda _, s: velocity(setting, modes, s)
    solver = DOP853(field_, start, state, stop, **tolerances)
    steps = 0
    while solver.status == "running":
        before, at = solver.y.copy(), solver.t
        message = solver.step()
        if solver.status == "failed":
            raise RuntimeError(message)
        steps += 1
        dense = solver.dense_output()
        event = first_event(setting, modes, dense, solver.t_old, solver.t, c_sign)
        if event is not None:
            guess, guard = event
            time, state = polished(
                setting, modes, before, at, guess, guard, c_sign, tolerances
            )
            return time, state, guard, steps
    return solver.t, solver.y, None, steps


def summary(setting, modes, state):
    v, c, p = setting.unpack(state)
    r = residual(setting, modes, v, c, p)
    return {
        "v": v.copy(),
        "c": c.copy(),
        "p": p.copy() if setting.affine else None,
        "loss": 0.5 * float(setting.q @ r**2),
    }
