"""The command line of the launcher."""

import argparse

from mmengine.config import DictAction


class _Options(DictAction):
    """MMEngine's ``key=value`` options, with an error instead of a crash."""

    def __call__(self, parser, namespace, values, option_string=None):  # type: ignore[no-untyped-def]
        try:
            super().__call__(parser, namespace, values, option_string)
        except Exception as error:
            bad = [x for x in values if '=' not in x] or values
            raise argparse.ArgumentError(
                self, f'cannot read {" ".join(bad)!r} as KEY=VALUE'
            ) from error


def _loss_scale(text: str) -> str | float:
    """``'dynamic'`` or a number."""
    if text == 'dynamic':
        return text
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < float('inf'):
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither 'dynamic' nor a number > 0"
        )
    return value


def build_parser() -> argparse.ArgumentParser:
    """The command line, which is that of MMEngine's projects."""
    parser = argparse.ArgumentParser(
        description='Train a model, in mixed precision with --amp'
    )
    parser.add_argument('config', help='path of the config file')
    parser.add_argument(
        '--work-dir',
        help='where logs, checkpoints and pictures go '
        "(default: the config's, else work_dirs/CONFIG_NAME)",
    )
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='PATH',
        help='go on from a checkpoint; without PATH, or with "auto", from '
        'the latest in the work dir',
    )
    parser.add_argument(
        '--amp', action='store_true', help='train in mixed precision'
    )
    parser.add_argument(
        '--amp-dtype',
        choices=['float16', 'bfloat16', 'auto'],
        help="with --amp: the low precision (default: the config's, else "
        "PyTorch's for the device; auto: bfloat16 where the hardware has it)",
    )
    parser.add_argument(
        '--loss-scale',
        type=_loss_scale,
        help="with --amp: 'dynamic' or a number for a static scale "
        "(default: the config's, else dynamic)",
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate with the batch size, by the '
        "config's auto_scale_lr",
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=_Options,
        metavar='KEY=VALUE',
        help='settings that replace those of the config, such as '
        'train_cfg.max_iters=100',
    )
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='what started the processes (default: none)',
    )
    parser.add_argument(
        '--local-rank',
        '--local_rank',
        type=int,
        default=0,
        help='set by older launchers; torchrun uses the environment',
    )
    return parser
