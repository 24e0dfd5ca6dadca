r"""Watching activation patterns at every step, inside a compiled loop.

A pair (neuron, datum) is on where its pre-activation is strictly positive. During
`WORD` steps each pair's side is shifted into a 32-bit word, which costs a fraction
of a gradient; then the few pairs that changed side are looked at one by one.

Near a boundary that attracts the flow, descent chatters: the pair flips back and
forth every few steps, while the exact flow slides along the boundary. Flips of one
pair that follow one another within `window` steps form a chain. A chain of one flip
is a crossing (`on` or `off`); a longer chain is *sliding*: it is one `slide` event at
its first flip, and one `on` or `off` event at its last, recorded once `window` steps
have passed without another flip.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt32

from .trajectory import EventKind, Events

WORD = 32
_ROUND = 16  # changed pairs looked at together
_NO_EVENT = np.array([np.iinfo(np.int32).max, -1, EventKind.none], np.int32)


class Watch(eqx.Module):
    """What the watch remembers between words.

    Attributes:
        pattern: Side of every pair after the last word.
        chains: Every pair's last chain: the step of its last flip (very negative if
            none), and its row in the table (-1 if none).
        table: Rows (step, pair, kind) with pair = neuron·K + datum.
        count: Rows asked for so far, possibly more than there are.
        pair_flips: Raw number of flips.
        pattern_changes: Raw number of steps at which the pattern changed.
    """

    pattern: Bool[Array, " NK"]
    chains: Int[Array, "NK 2"]
    table: Int[Array, "E 3"]
    count: Int[Array, ""]
    pair_flips: Int[Array, ""]
    pattern_changes: Int[Array, ""]


def sides(preactivations: tuple[Array, ...]) -> Bool[Array, " NK"]:
    """Which pairs are on, all hidden layers in one row."""
    return jnp.concatenate([jnp.ravel(z > 0) for z in preactivations])


def start(pattern: Bool[Array, " NK"], max_events: int) -> Watch:
    """A watch that has seen the initial pattern and no flip."""
    no_chain = jnp.array([jnp.iinfo(jnp.int32).min // 2, -1], jnp.int32)
    zero = jnp.zeros((), jnp.int32)
    return Watch(
        pattern=pattern,
        chains=jnp.tile(no_chain, (pattern.size, 1)),
        table=jnp.tile(_NO_EVENT, (max_events, 1)),
        count=zero,
        pair_flips=zero,
        pattern_changes=zero,
    )


def no_words(preactivations: tuple[Array, ...]) -> tuple[Array, ...]:
    """Empty words, in the layers' shapes: flattening them at every step costs more."""
    return tuple(jnp.zeros(z.shape, jnp.uint32) for z in preactivations)


def push(words: tuple[Array, ...], preactivations: tuple[Array, ...]):
    """Shift the sides at one more step into the words, newest in the lowest bit."""
    pairs = zip(words, preactivations, strict=True)
    return tuple((word << 1) | (z > 0).astype(jnp.uint32) for word, z in pairs)


def read(
    watch: Watch, layers: tuple[Array, ...], first: Int[Array, ""], window: int
) -> Watch:
    """Account for `WORD` steps, the oldest of which is step `first`."""
    words = jnp.concatenate([jnp.ravel(layer) for layer in layers])
    before = watch.pattern.astype(jnp.uint32) << (WORD - 1)
    flips = words ^ ((words >> 1) | before)
    union = jax.lax.reduce(flips, jnp.uint32(0), jax.lax.bitwise_or, (0,))
    groups = _bitset(flips != 0)
    totals = jnp.cumsum(jnp.bitwise_count(groups).astype(jnp.int32))

    def unfinished(carry):
        return carry[1] < totals[-1]

    def one_round(carry):
        watch, done = carry
        ranks = done + 1 + jnp.arange(_ROUND, dtype=jnp.int32)
        pairs = _select(groups, totals, ranks, none=flips.size)
        return _account(watch, pairs, words, flips, first, window), done + _ROUND

    zero = jnp.zeros((), jnp.int32)
    watch, _ = jax.lax.while_loop(unfinished, one_round, (watch, zero))
    return eqx.tree_at(
        lambda w: (w.pattern, w.pair_flips, w.pattern_changes),
        watch,
        (
            (words & 1).astype(bool),
            watch.pair_flips + _total(jnp.bitwise_count(flips)),
            watch.pattern_changes + jnp.bitwise_count(union).astype(jnp.int32),
        ),
    )


def _total(counts: Array) -> Int[Array, ""]:
    return jnp.sum(counts, dtype=jnp.int32)


def _bitset(flags: Bool[Array, " NK"]) -> UInt32[Array, " G"]:
    """The flags, 32 to a word; summing words is much faster than a long cumsum."""
    flags = jnp.pad(flags, (0, -flags.size % WORD)).reshape(-1, WORD)
    places = jnp.arange(WORD, dtype=jnp.uint32)
    return jnp.sum(
        flags.astype(jnp.uint32) << places[None, :], axis=1, dtype=jnp.uint32
    )


def _select(groups: Array, totals: Array, ranks: Array, none: int) -> Int[Array, " m"]:
    """Index of the rank-th set flag, ranks from 1; `none` where there are fewer."""
    how = "compare_all" if groups.size <= 64 else "scan"  # the first compiles faster
    group = jnp.searchsorted(totals, ranks, method=how).astype(jnp.int32)
    at = jnp.minimum(group, groups.size - 1)
    word = groups[at]
    rank = ranks - totals[at] + jnp.bitwise_count(word).astype(jnp.int32)
    place = jnp.zeros_like(rank)
    for half in (16, 8, 4, 2, 1):
        below = jnp.bitwise_count(word & jnp.uint32(2**half - 1)).astype(jnp.int32)
        upper = rank > below
        place = place + jnp.where(upper, half, 0)
        rank = rank - jnp.where(upper, below, 0)
        word = jnp.where(upper, word >> half, word)
    return jnp.where(ranks > totals[-1], none, WORD * group + place)


def _account(watch, pairs, words, flips, first, window) -> Watch:
    """Update chains and table for these pairs; an index past the end is no pair."""
    size, table = flips.shape[0], watch.table.shape[0]
    valid = pairs < size
    at = jnp.minimum(pairs, size - 1)
    mask = flips[at]
    first_flip = first + jax.lax.clz(mask).astype(jnp.int32)
    last_flip = first + WORD - 1 - _trailing_zeros(mask)
    last, row = watch.chains[at].T
    was_sliding = _kind(watch, row) == EventKind.slide
    fresh = valid & (first_flip - last > window)
    exits = fresh & was_sliding
    crossing = _crossing((words[at] & 1).astype(bool))
    kind = jnp.where(jnp.bitwise_count(mask) > 1, EventKind.slide, crossing)
    # --- rows of the table: an exit, if any, then the new chain ---
    rows_needed = fresh.astype(jnp.int32) + exits.astype(jnp.int32)
    exit_row = watch.count + jnp.cumsum(rows_needed) - rows_needed
    new_row = exit_row + exits.astype(jnp.int32)
    leave = jnp.stack([last, pairs, _crossing(watch.pattern[at])], axis=1)
    enter = jnp.stack([first_flip, pairs, kind], axis=1)
    rows = jnp.where(
        jnp.concatenate([exits, fresh]), jnp.append(exit_row, new_row), table
    )
    continues = jnp.where(valid & ~fresh, row, table)
    chains = jnp.stack([last_flip, jnp.where(fresh, new_row, row)], axis=1)
    return eqx.tree_at(
        lambda w: (w.chains, w.table, w.count),
        watch,
        (
            watch.chains.at[pairs].set(chains, mode="drop"),
            watch.table.at[continues, 2]
            .set(EventKind.slide, mode="drop")
            .at[rows]
            .set(jnp.concatenate([leave, enter]), mode="drop"),
            watch.count + _total(rows_needed),
        ),
    )


def _kind(watch: Watch, row: Int[Array, " m"]) -> Int[Array, " m"]:
    """Kinds of these rows; `none` for rows that do not exist."""
    kinds = watch.table[:, 2].at[row]
    none = int(EventKind.none)
    return kinds.get(mode="fill", fill_value=none, wrap_negative_indices=False)


def _crossing(on: Bool[Array, " m"]) -> Int[Array, " m"]:
    return jnp.where(on, EventKind.on, EventKind.off).astype(jnp.int32)


def _trailing_zeros(mask: UInt32[Array, " m"]) -> Int[Array, " m"]:
    lowest = mask & (~mask + 1)
    return (WORD - 1) - jax.lax.clz(lowest).astype(jnp.int32)


def events(
    watch: Watch,
    last_step: Int[Array, ""],
    window: int,
    num_data: int,
    time_of: Float[Array, ""],
) -> Events:
    """The table in order of time, with the exits from chains that ended unnoticed."""
    size = watch.table.shape[0]
    rows = jnp.arange(size, dtype=jnp.int32)
    pair = watch.table[:, 1]
    last, row = watch.chains[pair].T
    sliding = (watch.table[:, 2] == EventKind.slide) & (row == rows)
    ended = sliding & (last_step - last > window)
    leave = jnp.stack([last, pair, _crossing(watch.pattern[pair])], axis=1)
    exits = jnp.where(ended[:, None], leave, _NO_EVENT)
    table = jnp.concatenate([watch.table, exits])
    count = watch.count + _total(ended)
    step, pair, kind = table[jnp.argsort(table[:, 0], stable=True)[:size]].T
    used = rows < count
    return Events(
        time=jnp.where(used, step.astype(time_of.dtype) * time_of, jnp.inf),
        neuron=jnp.where(used, pair // num_data, -1),
        datum=jnp.where(used, pair % num_data, -1),
        kind=kind,
        count=jnp.minimum(count, size),
        overflow=count > size,
    )
