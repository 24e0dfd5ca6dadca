"""Modes at a boundary against brute force over all of them."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import plateaux as px
from plateaux.dynamics.modes import (
    Data,
    Modes,
    basis,
    sliding_pairs,
    slopes,
)
from plateaux.dynamics.pivoting import choose_modes

OFF, ON, SLIDE = px.EventKind.off, px.EventKind.on, px.EventKind.slide
NUM_DATA = 9


class Case:
    """One neuron that slides along some data and reaches the boundary of one more.

    Attributes:
        x1, e, c: Inputs, output gradients and outer weight.
        kind: Modes before the event; data 0 … s−1 slide, datum s arrives.
    """

    def __init__(self, rng, dim, slides, slope_off):
        self.off = slope_off
        self.x1 = np.column_stack([rng.normal(size=(NUM_DATA, dim)), np.ones(NUM_DATA)])
        self.kind = rng.integers(0, 2, size=NUM_DATA)
        self.slides, self.datum = slides, slides
        self.e, self.c = rng.normal(size=NUM_DATA), rng.normal()
        self.kind[:slides] = SLIDE
        held, fixed = self.x1[:slides], np.arange(NUM_DATA) >= slides
        g = ((self.slope * self.e) * fixed) @ self.x1
        beta = -np.linalg.lstsq(held.T, g)[0]
        self.alpha = rng.uniform(0.05, 0.95, size=slides)
        self.e[:slides] = beta / (slope_off + (1 - slope_off) * self.alpha)

    @property
    def slope(self):
        """Slopes of the sides; that of off where it slides."""
        return np.where(self.kind == ON, 1.0, self.off)

    def arrives(self):
        """Whether the slides are convex and the datum moves to its boundary."""
        speed = self.speeds(self.kind)[0][self.datum]
        towards = speed < 0 if self.kind[self.datum] == ON else speed > 0
        return np.all(self.c * self.e[: self.slides] > 0) and towards

    def speeds(self, kind):
        """z' of all data, and α' of the sliding ones, in these modes."""
        held = np.flatnonzero(kind == SLIDE)
        slope = np.where(kind == ON, 1.0, self.off)
        g = (slope * self.e) @ self.x1
        eps = (1 - self.off) * self.e[held]
        matrix = eps * (self.x1[held] @ self.x1[held].T)
        alpha = np.linalg.lstsq(matrix, -self.x1[held] @ g)[0]
        g = g + (eps * alpha) @ self.x1[held]
        return -self.c * (self.x1 @ g), alpha

    def is_consistent(self, kind, tol=1e-9):
        """Whether every pair in question does what its mode says."""
        held = np.flatnonzero(kind == SLIDE)
        if np.any(self.c * self.e[held] < 0):
            return False  # concave kinks do not slide
        speed, alpha = self.speeds(kind)
        inside = np.all((alpha > tol) & (alpha < 1 - tol))
        question = range(self.datum + 1)
        moves = [
            speed[k] <= tol if kind[k] == OFF else speed[k] >= -tol
            for k in question
            if kind[k] != SLIDE
        ]
        return bool(inside and all(moves))

    def consistent(self):
        """All consistent modes, by brute force."""
        found = []
        for choice in itertools.product((OFF, ON, SLIDE), repeat=self.datum + 1):
            kind = self.kind.copy()
            kind[: self.datum + 1] = choice
            if self.is_consistent(kind):
                found.append(kind)
        return found


NUM_CASES = 60


@jax.jit
@jax.vmap
def choose(x1, slope_off, e, c, on, slides, datum, target, release):
    data = Data(x1, jnp.sqrt(jnp.sum(x1**2, axis=1)), slope_off, 1.0)
    return choose_modes(data, e, c, on, slides, datum, target, release=release)


def chosen(cases, places, datum, target, release=False):
    """New modes of all cases, and the whole answers."""
    # Always as many, the last one again and again: one program for every `places`.
    padded = cases + cases[-1:] * (NUM_CASES - len(cases))
    column = lambda get, dtype=float: np.array([get(k) for k in padded], dtype)
    slides = np.full((len(padded), places), -1, np.int32)
    for row, k in zip(slides, padded, strict=True):
        row[: k.slides] = np.arange(k.slides)
    answer = choose(
        column(lambda k: k.x1),
        column(lambda k: k.off),
        column(lambda k: k.e),
        column(lambda k: k.c),
        column(lambda k: k.kind == ON, bool),
        slides,
        column(datum, np.int32),
        column(target, np.int32),
        np.full(len(padded), release),
    )
    answer = jax.tree.map(lambda a: np.asarray(a)[: len(cases)], answer)
    on, held = np.asarray(answer.on), np.asarray(answer.slides)
    kinds = np.where(on, ON, OFF)
    for kind, row in zip(kinds, held, strict=True):
        kind[row[row >= 0]] = SLIDE
    return kinds, answer


def arrivals(seed, dim, slides, slope_off, number=NUM_CASES):
    rng = np.random.default_rng(seed)
    cases = (Case(rng, dim, slides, slope_off) for _ in range(100_000))
    return list(itertools.islice((k for k in cases if k.arrives()), number))


def is_convex(case):
    return case.c * case.e[case.datum] > 0


SHAPES = [(1, 0), (2, 1), (3, 2)]
SHAPES += [pytest.param(*shape, marks=pytest.mark.slow) for shape in [(4, 3), (5, 1)]]


@pytest.mark.parametrize("slope_off", [0.0, 0.3])
@pytest.mark.parametrize(("dim", "slides"), SHAPES)
def test_modes_at_an_arrival_are_the_consistent_ones(dim, slides, slope_off):
    cases = arrivals(dim, dim, slides, slope_off)
    assert len(cases) == NUM_CASES
    other = lambda k: OFF if k.kind[k.datum] == ON else ON
    kinds, answer = chosen(cases, dim, lambda k: k.datum, other)
    seen = {OFF: 0, ON: 0, SLIDE: 0}
    for i, (case, kind) in enumerate(zip(cases, kinds, strict=True)):
        assert case.is_consistent(kind)
        found = case.consistent()
        if is_convex(case):  # a strictly convex problem: one answer
            assert len(found) == 1
        assert any(np.array_equal(kind, other) for other in found)
        # untouched, and recorded
        np.testing.assert_array_equal(kind[slides + 1 :], case.kind[slides + 1 :])
        assert not np.array_equal(kind, case.kind)
        seen[px.EventKind(int(kind[case.datum]))] += 1
        columns = (answer.data, answer.kinds, answer.previous, answer.changed)
        for k, new, old, moved in zip(*(a[i] for a in columns), strict=True):
            if k >= 0:
                assert new == kind[k]
                assert old == case.kind[k]
                assert moved == (new != old)
            else:
                assert not moved
        assert not bool(answer.overflow[i])
    assert min(seen.values()) > 0


@pytest.mark.parametrize("slope_off", [0.0, 0.3])
@pytest.mark.parametrize(("dim", "slides"), [(1, 1), (2, 2), (3, 2)])
def test_a_slide_ends_on_the_side_where_its_multiplier_ends(dim, slides, slope_off):
    """The last sliding datum comes to α' = 0 or 1; the others keep sliding."""
    rng = np.random.default_rng(dim)
    for end, target in ((0.0, OFF), (1.0, ON)):
        cases = []
        while len(cases) < 20:
            case = Case(rng, dim, slides, slope_off)
            if np.sum(case.kind == ON) < 3:
                continue  # too few others to balance
            move_multiplier(case, end)
            case.datum = slides - 1
            if np.all(case.c * case.e[:slides] > 0):
                cases.append(case)
        kinds, answer = chosen(cases, dim, lambda k: k.datum, lambda _, t=target: t)
        for i, (case, kind) in enumerate(zip(cases, kinds, strict=True)):
            assert kind[case.datum] == target
            assert np.all(kind[: case.datum] == SLIDE)
            np.testing.assert_array_equal(kind[slides:], case.kind[slides:])
            assert int(np.sum(answer.changed[i])) == 1


def move_multiplier(case, end):
    """Change one e of another datum so that the last slide has α' = `end`."""
    s = case.slides
    rest = np.arange(s, NUM_DATA)
    weighted = case.x1[rest] * case.slope[rest, None]
    influence = -np.linalg.lstsq(case.x1[:s].T, weighted.T)[0]  # β = influence @ e
    wanted = case.e[s - 1] * (case.off + (1 - case.off) * end)
    pick = np.argmax(np.abs(influence[-1]))
    lacking = wanted - influence[-1] @ case.e[rest]
    case.e[rest[pick]] += lacking / influence[-1, pick]
    beta = influence @ case.e[rest]
    case.e[: s - 1] = beta[:-1] / (case.off + (1 - case.off) * case.alpha[:-1])


def test_concave_kinks_cross_and_repelling_ones_are_said_to_be():
    torn = 0
    cases = [k for k in arrivals(3, 2, 0, 0.0, 200) if not is_convex(k)]
    cases = cases[:NUM_CASES]
    other = lambda k: OFF if k.kind[k.datum] == ON else ON
    kinds, answer = chosen(cases, 2, lambda k: k.datum, other)
    for i, (case, kind) in enumerate(zip(cases, kinds, strict=True)):
        assert kind[case.datum] == other(case)
        torn += int(answer.repelling[i])
    assert torn == 0  # what arrives leaves on the other side
    # moving away on both sides: it stays where it is put, and is reported
    for case in cases:
        case.kind[case.datum] = other(case)
    away = [k for k in cases if abs(k.speeds(k.kind)[0][0]) > 1e-6 and _torn(k)]
    assert away == []
    flipped = [k for k in map(_repelled, cases) if k is not None]
    assert len(flipped) > 5
    kinds, answer = chosen(flipped, 2, lambda k: k.datum, lambda _: OFF)
    assert np.all(np.asarray(answer.repelling))


def _torn(case):
    """Whether velocities on both sides point away from the boundary."""
    kind = case.kind.copy()
    kind[case.datum] = OFF
    off = case.speeds(kind)[0][case.datum]
    kind[case.datum] = ON
    return off < 0 < case.speeds(kind)[0][case.datum]


def _repelled(case):
    """The case with e of its datum so that both sides move away, datum off."""
    case.kind[case.datum] = OFF
    off = case.speeds(case.kind)[0][case.datum]
    if off >= 0:
        return None
    reach = np.sum(case.x1[case.datum] ** 2)
    case.e[case.datum] = 2 * off / (case.c * reach)  # s_on = s_off − 2 s_off > 0
    assert _torn(case)
    return case


def test_all_slides_end_where_the_outer_weight_changes_its_sign():
    cases = arrivals(4, 3, 2, 0.0, 20)
    kinds, answer = chosen(cases, 3, lambda _: -1, lambda _: OFF, release=True)
    assert not np.any(kinds == SLIDE)
    np.testing.assert_array_equal(np.asarray(answer.slides), -1)
    for case, kind in zip(cases, kinds, strict=True):
        # `on` of a sliding pair is the side it came from: off in these cases
        np.testing.assert_array_equal(kind[2:], case.kind[2:])
    assert np.all(np.asarray(answer.repelling))


def test_an_arrival_without_velocity_slides_at_convex_kinks_and_crosses_concave():
    sides = {True: 0, False: 0}
    for case in arrivals(5, 2, 0, 0.0, 40):
        other = OFF if case.kind[case.datum] == ON else ON
        rest = np.delete(np.arange(NUM_DATA), case.datum)
        pick = rest[case.kind[rest] == ON][0]
        speed = case.speeds(case.kind)[0][case.datum]
        case.e[pick] += speed / (case.c * (case.x1[case.datum] @ case.x1[pick]))
        assert abs(case.speeds(case.kind)[0][case.datum]) < 1e-13
        kinds, _ = chosen([case], 2, lambda k: k.datum, lambda _, to=other: to)
        convex = bool(case.c * case.e[case.datum] > 0)
        assert kinds[0][case.datum] == (SLIDE if convex else other)
        sides[convex] += 1
    assert min(sides.values()) > 5


def test_more_slides_than_places_overflow():
    cases = [case for case in arrivals(6, 3, 1, 0.0) if is_convex(case)]
    _, answer = chosen(cases, 1, lambda k: k.datum, lambda _: ON)
    both = [np.sum(k.consistent()[0][: k.datum + 1] == SLIDE) == 2 for k in cases]
    assert 0 < sum(both) < len(both)
    assert np.asarray(answer.overflow).tolist() == both


# --- bases ---------------------------------------------------------------------------


@jax.jit
def applied(rows, vectors):
    frame = basis(rows)
    return frame, frame.project_out(vectors), frame.multipliers(vectors)


@pytest.mark.parametrize(("size", "dim"), [(1, 2), (2, 3), (3, 4), (4, 11)])
def test_bases_project_and_solve(size, dim):
    rng = np.random.default_rng(size)
    rows, vectors = rng.normal(size=(5, size, dim)), rng.normal(size=(5, dim))
    rows[2] *= 1e-8
    rows[3, -1] = 0  # an empty place
    frame, out, beta = jax.tree.map(np.asarray, applied(rows, vectors))
    for i in range(5):
        projector = np.eye(dim) - np.linalg.pinv(rows[i]) @ rows[i]
        np.testing.assert_allclose(out[i], projector @ vectors[i], atol=1e-13)
        along = vectors[i] - projector @ vectors[i]
        np.testing.assert_allclose(beta[i] @ rows[i], -along, atol=1e-12)
    np.testing.assert_allclose(frame.lower @ frame.q, rows, atol=1e-14)
    assert float(beta[3, -1]) == 0


def test_equal_rows_span_what_one_of_them_spans():
    row = np.array([0.3, -1.0, 1.0])
    vector = np.array([1.0, 2.0, 3.0])
    frame, out, beta = applied(np.stack([row, row, np.zeros(3)]), vector)
    expected = vector - row * (row @ vector) / (row @ row)
    np.testing.assert_allclose(out, expected, atol=1e-14)
    assert not np.any(np.asarray(frame.q)[1:])
    assert np.all(np.isfinite(beta))


def test_slopes_are_those_of_the_sides():
    data = Data(jnp.ones((3, 2)), jnp.ones(3), 0.25, 1.0)
    on = jnp.array([[True, False, True], [False, False, True]])
    modes = Modes(on, jnp.array([[2], [-1]], jnp.int32))
    expected = [[False, False, True], [False, False, False]]
    assert sliding_pairs(modes).tolist() == expected
    assert slopes(data, modes).tolist() == [[1.0, 0.25, 0.25], [0.25, 0.25, 1.0]]
    assert data.jump == 0.75
