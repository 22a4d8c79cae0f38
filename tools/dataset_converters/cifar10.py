"""CIFAR-10's python archive to PNGs in a folder for each class.

``python tools/dataset_converters/cifar10.py cifar-10-python.tar.gz
data/cifar10`` writes ``data/cifar10/train/cat/00001.png`` and so on.
"""

import argparse
import sys
from pathlib import Path


def main() -> int:
    """Convert, and print how many pictures there are.

    Returns:
        int: Exit code: 0, or 2 for a mistake of the user's.
    """
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument(
        'source', type=Path, help='cifar-10-python.tar.gz or its folder'
    )
    parser.add_argument('out', type=Path, help='where the folders go')
    parser.add_argument(
        '--force', action='store_true', help='overwrite what is there'
    )
    args = parser.parse_args()
    # Importing torch takes long enough for a Ctrl-C.
    from mmamp.datasets.converters import convert_cifar10
    from mmamp.errors import USAGE
    from mmamp.launcher.mistakes import complain

    try:
        written = convert_cifar10(args.source, args.out, args.force)
    except (OSError, ValueError) as error:
        complain(str(error), 'cifar10.py')
        return USAGE
    print(f'{written} pictures in {str(args.out)!r}')
    return 0


if __name__ == '__main__':
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print(
            'Interrupted. The pictures that are there are whole; --force '
            'begins anew.',
            file=sys.stderr,
        )
        sys.exit(130)
