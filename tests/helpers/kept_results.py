"""What each run works out anew, though it is the same each time.

Of MMEngine and scikit-learn, not of mmamp: the formatted text of a config,
which takes longer than an iteration of what tests train and is made for each
checkpoint, the versions of the compilers in the log, and the digits, which are
read from a text. And what modules hold, which MMEngine has the garbage
collector go through for each dataset, a third of a second.
"""

import copy
import functools
import gc
import sys

from mmengine import _strategy, runner
from mmengine.config import config


def keep(module, name):
    """Have a function of a module called once for the same arguments."""
    original = getattr(module, name)
    if hasattr(original, 'kept'):
        return
    kept = {}

    @functools.wraps(original)
    def once(*args, **kwargs):
        key = repr((args, kwargs))
        if key not in kept:
            if len(kept) > 20:
                kept.clear()
            kept[key] = original(*args, **kwargs)
        return copy.deepcopy(kept[key])

    once.kept = kept
    setattr(module, name, once)


def install():
    """Keep them from now on."""
    for module, name in (
        (config, 'FormatCode'),  # the fork formats in another way
        (runner.runner, 'collect_env'),
        (_strategy.base, 'collect_env'),
    ):
        if hasattr(module, name):
            keep(module, name)
    keep_digits()


def keep_digits():
    """The same for the digits, as soon as someone has imported them."""
    if 'sklearn.datasets' in sys.modules:
        keep(sys.modules['sklearn.datasets'], 'load_digits')


_known = [0]


def leave_modules_to_themselves():
    """Have the garbage collector pass over what was imported up to now."""
    if len(sys.modules) > _known[0] + 100:
        _known[0] = len(sys.modules)
        gc.collect()
        gc.freeze()
