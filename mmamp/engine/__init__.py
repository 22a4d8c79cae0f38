"""What MMEngine drives: optimizer wrappers, hooks, schedules, strategies."""

from .hooks import *  # noqa: F403
from .optimizers import *  # noqa: F403
from .schedulers import *  # noqa: F403
from .strategies import *  # noqa: F403
