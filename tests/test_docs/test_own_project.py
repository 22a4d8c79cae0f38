"""What the page of a project says of its two ways of training."""

import os
import subprocess
import sys

import pytest
import torch
from doc_blocks import ROOT, blocks, pages


@pytest.mark.slow
def test_both_ways_end_with_the_same_weights(tmp_path):
    for block in blocks(pages('en')['own_project.md']):
        if block.file:
            (tmp_path / block.file).parent.mkdir(exist_ok=True)
            (tmp_path / block.file).write_text(block.text)
    commands = (
        ['-m', 'mmamp.train', 'config.py', '--amp'],
        ['train.py', 'config_amp.py'],
    )
    for command in commands:
        subprocess.run(
            [sys.executable, *command],
            cwd=tmp_path,
            env={**os.environ, 'PYTHONPATH': str(ROOT)},
            check=True,
        )
    launched, own = (
        torch.load(tmp_path / f'work_dirs/{name}/iter_400.pth')['state_dict']
        for name in ('config', 'config_amp')
    )
    assert list(launched) == list(own)
    for name, weight in launched.items():
        assert torch.equal(weight, own[name]), name
