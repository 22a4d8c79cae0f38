"""Pictures in a folder, a zip archive or an lmdb to squares of one size.

``python tools/dataset_converters/resize_folder.py ffhq.zip data/ffhq256
--size 256`` cuts out the middle square of each picture and resizes it. Run
again, it goes on where it has ended.
"""

import argparse
import sys
from pathlib import Path


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument(
        'source', type=Path, help='folder, zip archive or folder of an lmdb'
    )
    parser.add_argument('out', type=Path, help='where the pictures go')
    parser.add_argument(
        '--size', type=int, required=True, help='height and width in pixels'
    )
    parser.add_argument(
        '--format', choices=('png', 'jpg'), default='png', help='default: png'
    )
    parser.add_argument(
        '--workers', type=int, help='processes (default: one for each CPU)'
    )
    parser.add_argument(
        '--force', action='store_true', help='overwrite what is there'
    )
    return parser.parse_args()


def main() -> int:
    """Convert, and print what has been done.

    Returns:
        int: Exit code: 0, 1 if nothing could be read, 2 for a mistake of the
        user's.
    """
    args = parse_args()
    # Importing torch takes long enough for a Ctrl-C.
    from mmamp.datasets.converters import resize_pictures
    from mmamp.errors import USAGE
    from mmamp.launcher.mistakes import complain

    try:
        result = resize_pictures(
            args.source,
            args.out,
            args.size,
            image_format=args.format,
            workers=args.workers,
            force=args.force,
        )
    except (ImportError, OSError, ValueError) as error:
        complain(str(error), 'resize_folder.py')
        return USAGE
    print(
        f'{result.written} pictures written to {str(args.out)!r}, '
        f'{result.kept} were there, {len(result.unreadable)} unreadable'
    )
    for name, error in result.unreadable[:10]:
        print(f'  {name}: {error}', file=sys.stderr)
    if len(result.unreadable) > 10:
        print('  ... all are in unreadable.txt there', file=sys.stderr)
    return 0 if result.written or result.kept else 1


if __name__ == '__main__':
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print(
            'Interrupted. The pictures that are there are whole; the same '
            'command goes on.',
            file=sys.stderr,
        )
        sys.exit(130)
