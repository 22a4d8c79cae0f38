"""What MMEngine drives: optimizer wrappers, hooks and strategies."""

from .hooks import *  # noqa: F403
from .optimizers import *  # noqa: F403
from .strategies import *  # noqa: F403
