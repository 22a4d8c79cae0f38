"""Checkpoints of earlier commits are gone on from as they were then."""

import shutil
from pathlib import Path

import pytest
import torch

from mmamp.train import main

FOLDER = Path(__file__).parents[1] / 'data/checkpoints'


def tensors(value, name=''):
    """All tensors and numbers of a state, by where they are."""
    if isinstance(value, dict):
        value = value.items()
    elif isinstance(value, (list, tuple)):
        value = enumerate(value)
    else:
        return {name: value}
    return {
        key: leaf
        for part, item in value
        for key, leaf in tensors(item, f'{name}.{part}').items()
    }


OF_BATCHES = ('.running_mean', '.running_var', '.num_batches_tracked')


def state_of(path):
    """What a run goes on with; not what is only shown, such as times."""
    checkpoint = torch.load(path, weights_only=True)
    keys = ('state_dict', 'optimizer', 'param_schedulers', 'rng_states')
    found = {key: checkpoint[key] for key in (*keys, 'data_position')}
    found['iter'] = checkpoint['meta']['iter']
    return tensors(found)


@pytest.mark.parametrize('commit', [x.name for x in FOLDER.iterdir()])
def test_goes_on_inside_of_a_window(commit, tmp_path):
    """In float16; the first checkpoint's gradients are part of the second."""
    folder = FOLDER / commit
    shutil.copy(folder / 'iter_3.pth', tmp_path)
    argv = [str(folder / 'gan.py'), '--amp', '--amp-dtype', 'float16']
    argv += ['--work-dir', str(tmp_path), '--resume']
    assert main(argv) == 0
    then, now = (
        state_of(folder / 'iter_6.pth'),
        state_of(tmp_path / 'iter_6.pth'),
    )
    # Penalties have names since.
    assert [x for x in now if not x.endswith('.penalty')] == list(then)
    for name, value in then.items():
        if '_ema.' in name and name.endswith(OF_BATCHES):
            # Averages have statistics of their own since.
            continue
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            # On another processor sums have another order.
            torch.testing.assert_close(
                now[name], value, rtol=1e-4, atol=1e-6, msg=name
            )
        elif isinstance(value, torch.Tensor):
            assert torch.equal(now[name], value), name
        else:
            assert now[name] == value, name
