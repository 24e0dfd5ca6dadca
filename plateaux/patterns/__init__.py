"""Patterns: activation patterns and what can be read off them."""

from .pattern import (
    active_counts as active_counts,
    breakpoints as breakpoints,
    dead_neurons as dead_neurons,
    flips as flips,
    hamming as hamming,
    layer_patterns as layer_patterns,
    pattern as pattern,
    pattern_hash as pattern_hash,
)
