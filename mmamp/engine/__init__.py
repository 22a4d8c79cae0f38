"""What MMEngine's Runner drives: optimizer wrappers and hooks."""

from .hooks import *  # noqa: F403
from .optimizers import *  # noqa: F403
