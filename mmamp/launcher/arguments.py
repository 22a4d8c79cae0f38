"""The command line of the launcher."""

import argparse
from collections.abc import Sequence

from mmamp.config.options import parse_value
from mmamp.precision.names import LOW_CHOICES


class Options(argparse.Action):
    """``KEY=VALUE`` options, as MMEngine's projects have them."""

    def __call__(self, parser, namespace, values, option_string=None):  # type: ignore[no-untyped-def]
        """Parse them."""
        options = dict(getattr(namespace, self.dest) or {})
        for text in values:
            key, equals, value = text.partition('=')
            try:
                if not (key and equals):
                    raise ValueError('there is no = after a key')
                options[key] = parse_value(value)
            except ValueError as error:
                raise argparse.ArgumentError(
                    self, f'cannot read {text!r} as KEY=VALUE: {error}'
                ) from error
        setattr(namespace, self.dest, options)


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
    """Build the command line of training, that of MMEngine's projects."""
    parser = argparse.ArgumentParser(
        description='Train a model, in mixed precision with --amp'
    )
    parser.add_argument('config', help='path of the config file')
    _add_common(parser, 'logs, checkpoints and pictures', 'train')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='PATH',
        help='go on from a checkpoint, or from the latest one of another '
        'work dir; without PATH, or with "auto", from the latest in the work '
        'dir',
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
    return parser


def build_test_parser() -> argparse.ArgumentParser:
    """Build the command line of testing, that of MMEngine's projects."""
    parser = argparse.ArgumentParser(
        description='Compute the metrics of a trained model'
    )
    parser.add_argument('config', help='path of the config file')
    _add_checkpoint(parser)
    _add_common(parser, 'the log and the metrics', 'test')
    return parser


def build_sample_parser() -> argparse.ArgumentParser:
    """Build the command line of sampling."""
    parser = argparse.ArgumentParser(
        description='Write pictures that a trained generator makes: from '
        'noise, or, where it makes pictures of pictures, from the first ones '
        'of the test data, or from those of --input'
    )
    parser.add_argument('config', help='path of the config file')
    _add_checkpoint(parser)
    parser.add_argument(
        '--num',
        type=_positive,
        help='how many pictures (default: 16; of --input all)',
    )
    parser.add_argument(
        '--input',
        metavar='DIR',
        help='pictures of yours, which one that makes pictures of pictures is '
        'applied to; they keep their names',
    )
    parser.add_argument(
        '--direction',
        choices=['a2b', 'b2a'],
        help='with --input: from the first domain to the other, or back, '
        'which CycleGAN does (default: a2b)',
    )
    parser.add_argument(
        '--out',
        default='samples',
        metavar='DIR',
        help='the folder they go to (default: samples)',
    )
    parser.add_argument(
        '--seed',
        type=int,
        default=0,
        help='the same seed gives the same pictures (default: 0)',
    )
    parser.add_argument(
        '--label',
        type=int,
        nargs='+',
        metavar='CLASS',
        help='classes to make, in turn (default: all, in turn), if the model '
        'is conditional',
    )
    _add_truncation(parser)
    parser.add_argument(
        '--interpolate',
        action='store_true',
        help='also write interpolation.gif: the grid, whose pictures go to '
        'others and back',
    )
    parser.add_argument(
        '--raw',
        action='store_true',
        help='use the generator as trained, not its average (EMA)',
    )
    add_options(parser)
    return parser


def build_export_parser(formats: Sequence[str]) -> argparse.ArgumentParser:
    """Build the command line of exporting.

    Args:
        formats (Sequence[str]): Names of the kinds of files.
    """
    parser = argparse.ArgumentParser(
        prog='mmamp.export',  # not __main__.py
        description='Write a trained generator, or its average, to a file '
        'that runs without mmamp, and compare it with the model',
    )
    parser.add_argument('config', help='path of the config file')
    _add_checkpoint(parser)
    parser.add_argument(
        'out',
        nargs='?',
        metavar='OUT',
        help='the file, or the folder that it goes to (default: '
        'CONFIG_NAME_NETWORK.SUFFIX, here)',
    )
    parser.add_argument(
        '--format', required=True, choices=formats, help='the kind of file'
    )
    parser.add_argument(
        '--network',
        metavar='NAME',
        help='which generator, where there are several, such as '
        'generator_ba (default: the one that makes the results)',
    )
    parser.add_argument(
        '--raw',
        action='store_true',
        help='the generator as trained, not its average (EMA)',
    )
    _add_truncation(parser)
    parser.add_argument(
        '--dynamic-batch',
        action='store_true',
        help='any number of samples at once, and pictures of any size where '
        'the network takes them (default: one sample, one size)',
    )
    parser.add_argument(
        '--size',
        type=_positive,
        nargs=2,
        metavar=('HEIGHT', 'WIDTH'),
        help='of the pictures that a network is given, where it is one size '
        "(default: that of the test data's first)",
    )
    add_options(parser)
    return parser


def build_convert_parser(formats: Sequence[str]) -> argparse.ArgumentParser:
    """Build the command line of reading weights of other codebases.

    Args:
        formats (Sequence[str]): Names of what is read and written.
    """
    parser = argparse.ArgumentParser(
        description='read published weights of another codebase into a '
        "config's model, or write them back"
    )
    parser.add_argument(
        'source',
        help='the file to read: a checkpoint or state dict of the other '
        'codebase; with --back one of mmamp, or a work dir: its latest one',
    )
    parser.add_argument('config', help='path of the config file')
    parser.add_argument('out', help='path of the new file')
    parser.add_argument(
        '--from',
        dest='format',
        choices=formats,
        metavar='FORMAT',
        help=f'what SOURCE is: {", ".join(formats)} (default: that whose '
        'names the keys are)',
    )
    parser.add_argument(
        '--back',
        nargs='?',
        const='',
        choices=['', *formats],
        metavar='FORMAT',
        help='write weights of mmamp for the other codebase; without FORMAT '
        'as what they were converted from',
    )
    parser.add_argument(
        '--ema',
        metavar='FILE',
        help='where the average of the generator is, if it has a file of its '
        'own, such as G_ema.pth',
    )
    parser.add_argument(
        '--discriminator',
        metavar='FILE',
        help='where the discriminator is, if it has a file of its own, such '
        'as D.pth',
    )
    parser.add_argument(
        '--bgr',
        action='store_true',
        help='their networks make and see BGR images, as those that MMagic '
        'and MMGeneration have trained on files do; ours are of RGB',
    )
    parser.add_argument(
        '--domains',
        nargs='+',
        metavar='DOMAIN',
        help='what files of pix2pix and CycleGAN call their generators by: '
        'the domain of what it makes, or two, A B, where A is that of the '
        "config's inputs",
    )
    add_options(parser)
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is no int >= 1')
    return int(text)


def _add_checkpoint(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        'checkpoint',
        help='path of a checkpoint, or of a work dir: its latest one',
    )


def _add_truncation(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--truncation',
        type=float,
        metavar='NUMBER',
        help="trade variety for quality: StyleGAN2's psi, such as 0.7; of "
        'other generators the threshold beyond which numbers of the noise '
        "are drawn again (default: the config's model.truncation)",
    )


def add_options(parser: argparse.ArgumentParser) -> None:
    """Give a command line ``--cfg-options``.

    Args:
        parser (argparse.ArgumentParser): Changed in place.
    """
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=Options,
        metavar='KEY=VALUE',
        help='settings that replace those of the config, such as '
        'train_cfg.max_iters=100',
    )


def _add_common(
    parser: argparse.ArgumentParser, content: str, verb: str
) -> None:
    """Options that training and testing share."""
    parser.add_argument(
        '--work-dir',
        help=f'where {content} go '
        "(default: the config's, else work_dirs/CONFIG_NAME)",
    )
    parser.add_argument(
        '--amp', action='store_true', help=f'{verb} in mixed precision'
    )
    parser.add_argument(
        '--amp-dtype',
        choices=LOW_CHOICES,
        help="with --amp: the low precision (default: the config's, else "
        "PyTorch's for the device; auto: bfloat16 where the hardware has it)",
    )
    add_options(parser)
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        help='what started the processes (default: what the environment '
        'tells, such as that of torchrun, srun or mpirun)',
    )
    parser.add_argument(
        '--local-rank',
        '--local_rank',
        type=int,
        default=0,
        help='set by older launchers; torchrun uses the environment',
    )
