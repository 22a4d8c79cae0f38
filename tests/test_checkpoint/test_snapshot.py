from collections import OrderedDict
from io import BytesIO

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from mmamp.checkpoint.snapshot import Snapshot
from mmamp.precision.devices import current


def written(content):
    with BytesIO() as file:
        torch.save(content, file)
        return file.getvalue()


def content_of_a_run():
    """A model, an average with the same buffers, Adam and a window."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    net[0].weight.data = net[0].weight.data.t().contiguous().t()
    adam = torch.optim.Adam(net.parameters())
    net(torch.randn(5, 3)).square().sum().backward()
    adam.step()
    return dict(
        state_dict=net.state_dict(),
        ema_state_dict=net.state_dict(),
        optimizer=adam.state_dict(),
        window=[None, *(p.grad for p in net.parameters())],
        parts=torch.arange(10).split(5),
        kept=net[0].bias,
        rng=(torch.get_rng_state(), [1, 2.5, 'x', None, True]),
        history=HistoryBuffer([1.0, 2.0], [1, 1]),
        numbers=np.arange(3),
        empty=torch.empty(0),
        scalar=torch.tensor(2),
    )


def changed(content):
    """Have everything in a content be something else."""
    for value in content.values() if isinstance(content, dict) else content:
        if isinstance(value, (dict, list, tuple)):
            changed(value)
        elif isinstance(value, torch.Tensor):
            value.data.zero_()
        elif isinstance(value, HistoryBuffer):
            value.update(3.0)
        elif isinstance(value, np.ndarray):
            value[:] = 7
    if isinstance(content, list):
        content.append('more')


def test_a_copy_is_written_as_what_was_copied():
    """Byte by byte: what shares memory, versions and strides too."""
    content = content_of_a_run()
    expected = written(content)
    copied = Snapshot().take(content)
    changed(content)
    assert written(content) != expected
    assert written(copied) == expected
    assert type(copied['state_dict']) is OrderedDict
    assert copied['state_dict']._metadata['1']['version'] == 2


def test_tensors_that_are_no_plain_memory():
    content = dict(
        sparse=torch.eye(3).to_sparse(),
        conjugate=torch.tensor([1 + 2j]).conj(),
    )
    copied = Snapshot().take(content)
    for name, value in content.items():
        assert torch.equal(copied[name].to_dense(), value.to_dense())
    content['sparse'].values().zero_()
    assert torch.equal(copied['sparse'].to_dense(), torch.eye(3))


def places(content):
    return {
        value.data_ptr()
        for value in content.values()
        if isinstance(value, torch.Tensor)
    }


def test_memory_is_used_again():
    snapshot = Snapshot()
    content = {str(i): torch.full((1000,), i) for i in range(4)}
    first = places(snapshot.take(content))
    # New tensors of the same size, as those that FSDP2 gathers.
    content = {name: value + 1 for name, value in content.items()}
    copied = snapshot.take(content)
    assert places(copied) == first
    assert all(torch.equal(copied[x], content[x]) for x in content)
    del content['0']
    assert places(snapshot.take(content)) < first
    # What was left over is not kept for ever.
    content['0'] = torch.zeros(1000)
    assert len(snapshot.take(content)) == 4


class Copied(TorchDispatchMode):
    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor) and 'copy' in func.__name__:
            self.elements += result.numel()
        return result


def test_what_shares_memory_is_copied_once():
    base = torch.ones(1000)
    with Copied() as counted:
        Snapshot().take([base, base.view(10, 100), base[5:]])
    assert counted.elements == base.nbytes


@pytest.mark.gpu
def test_from_an_accelerator_into_pinned_memory():
    device = current()
    content = dict(w=torch.arange(2**20, device=device.type))
    copied = Snapshot().take(content)
    content['w'].zero_()
    assert copied['w'].is_pinned()
    assert torch.equal(copied['w'], torch.arange(2**20))
