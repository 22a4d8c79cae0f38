"""How many samples of a generator trained on digits are digits.

``python tools/score_digits.py WORK_DIR`` loads the latest checkpoint in a work
dir, generates images, and has a small classifier, trained here on
scikit-learn's digits, say how many it takes for digits with confidence.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import find_latest_checkpoint
from rich.table import Table

from mmamp.evaluation import DigitClassifier
from mmamp.registry import MODELS
from mmamp.utils.consoles import new_console


def parse_args() -> argparse.Namespace:
    """Read the command line; a work dir without a run ends it."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('work_dir', type=Path, help='where a run has been')
    parser.add_argument(
        '--num', type=int, default=1000, help='samples (default: 1000)'
    )
    args = parser.parse_args()
    if args.num < 1:
        parser.error(f'--num must be >= 1, but got {args.num}')
    if not (args.work_dir / 'last_checkpoint').is_file():
        parser.error(f'no checkpoint in {str(args.work_dir)!r}: train first')
    return args


def sample(work_dir: Path, num: int) -> np.ndarray:
    """Sample images of the latest checkpoint, uint8 of (num, 1, H, W)."""
    checkpoint = Path(find_latest_checkpoint(str(work_dir)))
    state = torch.load(checkpoint, map_location='cpu', weights_only=True)
    cfg = Config.fromstring(state['meta']['cfg'], file_format='.py')
    init_default_scope(cfg.get('default_scope', 'mmamp'))
    model = MODELS.build(cfg.model)
    model.load_state_dict(state['state_dict'])
    torch.manual_seed(0)
    batches = [
        model.sample(min(100, num - start), index=1 + start)
        for start in range(0, num, 100)
    ]
    return np.concatenate([batch.numpy() for batch in batches])


def main() -> int:
    """Print the table, and last of all where the picture is."""
    args = parse_args()
    classifier = DigitClassifier()
    counts = classifier.counts(sample(args.work_dir, args.num))
    table = Table(
        title=f'Of {args.num} samples taken for a digit '
        f'(confidence >= {classifier.confidence})'
    )
    for digit in range(10):
        table.add_column(str(digit), justify='right')
    table.add_column('all', justify='right')
    share = f'{counts.sum()} ({counts.sum() / args.num:.1%})'
    table.add_row(*map(str, counts), share)
    console = new_console()
    console.print(table)
    console.print(
        f'(real digits that it has not seen: {classifier.recognised:.1%})'
    )
    pictures = args.work_dir.glob('*/vis_data/vis_image/samples_*.png')
    latest = max(pictures, key=lambda p: p.stat().st_mtime, default=None)
    if latest is not None:
        print(f'{counts.sum()} of {args.num} samples are digits: {latest}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
