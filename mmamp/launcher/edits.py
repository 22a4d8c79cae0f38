"""The launcher's edits of a config: which command makes which, in what order.

An edit is called with the config, which it changes in place, and the command
line. A new one is a function in the file of its subject, and a line in one of
the lists below.
"""

from argparse import Namespace
from collections.abc import Callable, Sequence

from mmengine.config import Config

from mmamp.compat.mmengine import forget_filename
from mmamp.config.amp import enable_amp
from mmamp.config.data import seed_data, take_scopes_off
from mmamp.config.hooks import add_hooks, evaluate_as_trained
from mmamp.config.loading import load_config, merge_options
from mmamp.config.optimizers import (
    check_constructor,
    complete_schedulers,
    enable_auto_scale_lr,
)
from mmamp.config.values import (
    check_data,
    check_length,
    check_model,
    check_optimizer_settings,
    check_seed,
    check_training,
)
from mmamp.errors import UsageError

from .model_wrapper import set_model_wrapper
from .optimizers import check_optimizers, set_constructor
from .resume import set_resume, warn_of_used_work_dir
from .run import check_amp_options, set_launcher, set_work_dir
from .stock_amp import check_stock_wrappers
from .storage import load_from_storage
from .strategy import leave_strategy, set_strategy
from .testing import complete_test, seed_as_trained, set_weights

Edit = Callable[[Config, Namespace], None]


def read_config(args: Namespace, edits: Sequence[Edit]) -> Config:
    """Read the config that a command line names, and edit it.

    Args:
        args (argparse.Namespace): With ``config``, ``cfg_options`` and what
            the edits ask for.
        edits (Sequence[Callable]): Such as :data:`TRAIN`.

    Returns:
        Config: Complete: dumped to a file it does the same by itself.

    Raises:
        UsageError: If the command line or the config is wrong; one line.
    """
    cfg = load_config(args.config)
    merge_options(cfg, args.cfg_options or {})
    edit(cfg, edits, args)
    return cfg


def edit(cfg: Config, edits: Sequence[Edit], args: Namespace) -> None:
    """Edit a config, one edit after the other.

    Args:
        cfg (Config): The config, changed in place.
        edits (Sequence[Callable]): Such as :data:`TRIAL`.
        args (argparse.Namespace): What the edits ask for.
    """
    for one in edits:
        one(cfg, args)


def _always(change: Callable[[Config], None]) -> Edit:
    """Make an edit of a change that asks the command line for nothing."""
    return lambda cfg, args: change(cfg)


def _put_in_amp(cfg: Config, args: Namespace) -> None:
    if not args.amp:
        return
    scale = getattr(args, 'loss_scale', None)
    try:
        mixed = enable_amp(cfg, args.amp_dtype, scale)
    except (TypeError, ValueError) as error:
        raise UsageError(f'--amp: {error}') from error
    cfg.optim_wrapper = mixed.optim_wrapper


def _scale_lr(cfg: Config, args: Namespace) -> None:
    if args.auto_scale_lr:
        enable_auto_scale_lr(cfg)


COMMON: tuple[Edit, ...] = (
    check_amp_options,
    set_launcher,
    set_work_dir,
    _always(check_seed),
    _always(check_data),
    _always(check_constructor),
    _always(take_scopes_off),
    _put_in_amp,
)
"""Of training and testing, first."""
START: tuple[Edit, ...] = (
    *COMMON,
    _always(check_training),
    _always(check_stock_wrappers),
    _always(check_length),
    _always(check_optimizer_settings),
    _always(check_optimizers),
    _always(set_constructor),
    _always(complete_schedulers),
    _scale_lr,
)
"""Of ``mmamp.train``, before it looks into its work dir."""
GO_ON: tuple[Edit, ...] = (
    set_resume,
    _always(warn_of_used_work_dir),
    _always(load_from_storage),
    _always(add_hooks),
    _always(evaluate_as_trained),
    _always(seed_data),
    _always(set_model_wrapper),
    _always(set_strategy),
)
"""Of ``mmamp.train``, once no other run is in its work dir."""
TRAIN = (*START, *GO_ON)
"""Of ``mmamp.train``, all of them."""
TEST: tuple[Edit, ...] = (
    *COMMON,
    _always(check_model),
    set_weights,
    complete_test,
    seed_as_trained,
    _always(evaluate_as_trained),
    _always(leave_strategy),
    _always(set_model_wrapper),
    # Not in the place of the config that training has saved.
    _always(forget_filename),
)
"""Of ``mmamp.test``."""
SAMPLE: tuple[Edit, ...] = (_always(check_model),)
"""Of ``mmamp.sample``, which builds a model alone."""
EXPORT: tuple[Edit, ...] = (_always(check_model),)
"""Of ``mmamp.export``, likewise."""
CONVERT: tuple[Edit, ...] = (_always(check_model),)
"""Of ``mmamp.convert_weights``, likewise."""
REPORT: tuple[Edit, ...] = (
    _always(check_training),
    _always(check_data),
    _always(check_optimizer_settings),
    _always(check_constructor),
)
"""Of ``mmamp.report``, whose trials make the rest."""
TRIAL: tuple[Edit, ...] = (
    _always(set_constructor),
    _always(complete_schedulers),
    _always(add_hooks),
    _always(seed_data),
)
"""Of a trial of the report, which trains one dtype in one process."""
