"""What a config that is tested needs."""

from argparse import Namespace

from mmengine.config import Config
from mmengine.logging import print_log

from mmamp.errors import UsageError

from .storage import storage_of
from .weights import find_checkpoint, training_seed

PARTS = ('dataloader', 'cfg', 'evaluator')


def set_weights(cfg: Config, args: Namespace) -> None:
    """Find the weights, which the command loads itself.

    MMEngine does not mind what does not fit.

    Args:
        cfg (Config): The config, changed in place.
        args (argparse.Namespace): Its ``checkpoint`` becomes a file.

    Raises:
        UsageError: If there is none.
    """
    args.checkpoint = find_checkpoint(args.checkpoint, storage_of(cfg))
    cfg.load_from = None
    cfg.resume = False


def complete_test(cfg: Config, args: Namespace) -> None:
    """Test on the validation data where the config has no others.

    Args:
        cfg (Config): The config, changed in place.
        args (argparse.Namespace): With ``config``, for the error.

    Raises:
        UsageError: If it has none of either.
    """
    has = [cfg.get(f'test_{part}') is not None for part in PARTS]
    if all(has):
        return
    values = [cfg.get(f'val_{part}') for part in PARTS]
    if any(has) or None in values:
        raise UsageError(
            f'config {args.config!r} has nothing to test on: it needs all of '
            'test_dataloader, test_cfg=dict() and test_evaluator, or none of '
            'them and the same with val_'
        )
    for part, value in zip(PARTS, values, strict=True):
        cfg[f'test_{part}'] = value
    print_log(
        'The config has no test_dataloader: the validation data are tested on',
        logger='current',
    )


def seed_as_trained(cfg: Config, args: Namespace) -> None:
    """Take the latents of the run's own validation.

    Whatever the number of processes.

    Args:
        cfg (Config): The config, changed in place.
        args (argparse.Namespace): With ``checkpoint``.
    """
    randomness = dict(cfg.get('randomness') or {}, diff_rank_seed=False)
    if randomness.get('seed') is None:
        randomness['seed'] = training_seed(args.checkpoint, storage_of(cfg))
    cfg.randomness = randomness
