"""Networks: activations, architectures and initialisers."""

from .activations import (
    ACTIVATIONS as ACTIVATIONS,
    Activation as Activation,
    Elephant as Elephant,
    LeakyReLU as LeakyReLU,
    activation as activation,
)
from .chain import Chain as Chain, chain as chain, log_output as log_output
from .classical import (
    he as he,
    he_uniform as he_uniform,
    lecun as lecun,
    lecun_uniform as lecun_uniform,
    orthogonal as orthogonal,
    pytorch as pytorch,
    small as small,
    xavier as xavier,
    xavier_uniform as xavier_uniform,
)
from .designed import (
    balanced as balanced,
    unit_kinks as unit_kinks,
    zero_bias as zero_bias,
)
from .featured import (
    local_features as local_features,
    multi_scale as multi_scale,
    random_fourier as random_fourier,
    structured as structured,
    uniform_kinks as uniform_kinks,
)
from .first_layers import FIRST_LAYERS as FIRST_LAYERS, first_layer as first_layer
from .initialisers import INITIALISERS as INITIALISERS, initialiser as initialiser
from .mlp import MLP as MLP, mlp as mlp, normalise as normalise
from .network import (
    Network as Network,
    features as features,
    outputs as outputs,
    preactivations as preactivations,
)
from .schemes import SCHEMES as SCHEMES, scheme as scheme
from .structured_layer import law_of as law_of
from .teachers import teacher as teacher
from .two_layer import TwoLayer as TwoLayer, imbalance as imbalance
