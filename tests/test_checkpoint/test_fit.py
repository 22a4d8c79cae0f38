import torch
from torch import nn

from mmamp.checkpoint.fit import misfits, such_as


def test_misfits():
    own = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).state_dict()
    assert misfits(own, own) == []
    given = {k: v for k, v in own.items() if k != '0.bias'}
    given['0.weight'] = torch.zeros(5, 2)
    found = misfits(own, given)
    assert [one.name for one in found] == ['0.weight', '0.bias']
    assert such_as(found) == (
        '0.weight ((5, 2) in the checkpoint, (3, 2) in the model), '
        '0.bias (not in the checkpoint, (3,) in the model)'
    )
    assert such_as(found, 1).endswith('(3, 2) in the model)')


def test_what_is_empty_takes_any_shape():
    own = dict(pool=torch.zeros(0, 3))
    assert misfits(own, dict(pool=torch.zeros(4, 3))) == []
