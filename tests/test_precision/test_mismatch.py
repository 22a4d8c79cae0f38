import sys

import pytest
import torch
from torch import nn

from mmamp import AmpOptimWrapper
from mmamp.precision.mismatch import explain_mismatch


class Head(nn.Module):
    """With code outside of modules, as heads of toolboxes have it."""

    def __init__(self, fails):
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.fails = fails

    def loss(self, x):
        return getattr(self, self.fails)(self.fc(x))

    def matrices(self, x):
        return x.mm(torch.ones(4, 4)) + torch.ones(4, 4).to(x.dtype).t().mv(
            torch.ones(4)
        )

    def as_numpy(self, x):
        return x.detach().numpy()

    def scatters(self, x):
        found = torch.zeros(4, 4)
        found[torch.tensor([0])] = x[:1]
        return found

    def other(self, x):
        raise RuntimeError('out of memory for bfloat16')

    def no_memory(self, x):
        raise MemoryError('no room for dtype BFloat16')


class Model(nn.Module):
    def __init__(self, fails):
        super().__init__()
        self.backbone, self.bbox_head = nn.Linear(4, 4), Head(fails)

    def forward(self, x):
        return self.bbox_head.loss(self.backbone(x))


def failing(fails, dtype='bfloat16', model=None):
    model = model or Model(fails)
    wrapper = AmpOptimWrapper(
        torch.optim.SGD(model.parameters(), lr=0.1), dtype=dtype
    )
    with pytest.raises(Exception) as error, wrapper.optim_context(model):
        model(torch.ones(1, 4))
    return error.value


@pytest.mark.parametrize('fails', ['matrices', 'as_numpy', 'scatters'])
def test_the_module_and_its_rule_are_named(fails, mm_log):
    error = failing(fails)
    log = mm_log()
    line = "Head 'bbox_head' cannot compute in bfloat16"
    assert line in log
    assert "rules=[dict(pattern='bbox_head')])]" in log
    assert '..' not in log
    assert ('--amp-dtype float16' in log) == (fails == 'as_numpy')
    if sys.version_info >= (3, 11):
        (note,) = error.__notes__
        assert line in note


@pytest.mark.parametrize('fails', ['other', 'no_memory'])
def test_errors_of_other_kinds_are_left_alone(mm_log, fails):
    failing(fails)
    assert 'cannot compute' not in mm_log()


def test_an_error_of_no_module_is_left_alone(mm_log):
    try:
        torch.ones(1, 1).mm(torch.ones(1, 1, dtype=torch.float64))
    except RuntimeError as error:
        explain_mismatch(error, Model('other'), torch.bfloat16)
    assert 'cannot compute' not in mm_log()


def test_those_beside_it_are_in_the_rule(mm_log):
    """As the layers of an extractor, one for each level."""
    model = nn.Sequential(nn.ModuleList([Head('as_numpy')] * 2))
    model.forward = lambda x: model[0][1].loss(x)
    failing('as_numpy', model=model)
    assert r"rules=[dict(pattern='\\d+\\.\\d+')]" in mm_log()
