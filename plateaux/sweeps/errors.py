"""The refusal of sweeps: one sentence, nothing lost."""


class SweepError(ValueError):
    """A sweep that cannot be run, stored or read; the message is one sentence."""
