"""What ``tools/amp_report.py`` says of a config."""

import json
import os
import tempfile
from pathlib import Path

import torch

import mmamp.report

from . import Add

CONFIG = 'configs/dcgan/dcgan_digits-32x32.py'
ITERATIONS = 20
ON_CPU = (
    'train_dataloader.batch_size=4',
    'model.generator.base_channels=4',
    'model.discriminator.base_channels=4',
)
"""Options with which a CPU comes to the end of it in a minute or two."""


def find(add: Add) -> None:
    """Write the report, and take what it says of each dtype."""
    with tempfile.TemporaryDirectory() as folder:
        argv = [CONFIG, '--iters', str(ITERATIONS), '--out', folder]
        if not torch.cuda.is_available():
            argv += ['--cfg-options', *ON_CPU]
        code = mmamp.report.main(argv)
        path = Path(folder, 'report.json')
        if not path.is_file():
            add('', what='exit code', value=code)
            return
        report = json.loads(path.read_text())
    add('', what='config', value=os.path.basename(CONFIG))
    add('', what='verdict', value=report['verdict'])
    for row in report['dtypes']:
        add('By dtype', **{k: v for k, v in row.items() if _is_plain(v)})


def _is_plain(value: object) -> bool:
    return isinstance(value, (str, int, float, bool))
