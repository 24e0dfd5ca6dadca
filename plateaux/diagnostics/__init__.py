"""Diagnostics: functions of (problem, network), to be recorded along a run."""

from . import curvature as curvature
from .condensation import (
    Amplitudes as Amplitudes,
    Condensation as Condensation,
    alignment as alignment,
    amplitudes as amplitudes,
    condensation as condensation,
    leading_vector as leading_vector,
    participation_ratio as participation_ratio,
    projection as projection,
)
from .conserved import (
    balance_matrices as balance_matrices,
    imbalance_changes as imbalance_changes,
    imbalance_rates as imbalance_rates,
    imbalances as imbalances,
)
from .directions import (
    Directions as Directions,
    cosine_similarity as cosine_similarity,
    directions as directions,
    display_order as display_order,
)
from .error_bound import ErrorBound as ErrorBound, error_bound as error_bound
from .gram import (
    Spectrum as Spectrum,
    feature_spectrum as feature_spectrum,
    spectra as spectra,
    spectrum as spectrum,
)
from .rank import (
    entropy_rank as entropy_rank,
    epsilon_rank as epsilon_rank,
    least_epsilon as least_epsilon,
    numerical_rank as numerical_rank,
    spectral_participation as spectral_participation,
    stable_rank as stable_rank,
)
from .rank_deficit import RankDeficit as RankDeficit
from .signals import Signals as Signals, signals as signals
from .wasserstein import (
    amplitude_distance as amplitude_distance,
    distances_from as distances_from,
    wasserstein as wasserstein,
)
