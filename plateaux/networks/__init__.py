"""Networks: activations, architectures and initialisers."""

from .activations import (
    ACTIVATIONS as ACTIVATIONS,
)
from .activations import (
    Activation as Activation,
)
from .activations import (
    Elephant as Elephant,
)
from .activations import (
    LeakyReLU as LeakyReLU,
)
from .activations import (
    activation as activation,
)
from .classical import (
    he as he,
)
from .classical import (
    he_uniform as he_uniform,
)
from .classical import (
    lecun as lecun,
)
from .classical import (
    lecun_uniform as lecun_uniform,
)
from .classical import (
    orthogonal as orthogonal,
)
from .classical import (
    pytorch as pytorch,
)
from .classical import (
    small as small,
)
from .classical import (
    xavier as xavier,
)
from .classical import (
    xavier_uniform as xavier_uniform,
)
from .designed import (
    balanced as balanced,
)
from .designed import (
    structured as structured,
)
from .designed import (
    uniform_kinks as uniform_kinks,
)
from .designed import (
    zero_bias as zero_bias,
)
from .initialisers import INITIALISERS as INITIALISERS
from .initialisers import initialiser as initialiser
from .mlp import MLP as MLP
from .mlp import mlp as mlp
from .mlp import normalise as normalise
from .network import (
    Network as Network,
)
from .network import (
    outputs as outputs,
)
from .network import (
    preactivations as preactivations,
)
from .schemes import SCHEMES as SCHEMES
from .schemes import scheme as scheme
from .teachers import teacher as teacher
from .two_layer import TwoLayer as TwoLayer
from .two_layer import imbalance as imbalance
