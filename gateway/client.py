"""The former place of ``certless.client``."""

import warnings

from certless.client import *  # noqa: F403
from certless.client import __all__ as __all__  # noqa: PLC0414

warnings.warn(
    "gateway.client is now certless.client: import that", DeprecationWarning, stacklevel=2
)
