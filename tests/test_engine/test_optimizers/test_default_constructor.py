import pytest
import torch
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import DefaultScope
from torch import nn

import mmamp

OURS = 'mmamp.DefaultOptimWrapperConstructor'


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
        self.head = nn.Linear(2, 2)
        self.head.weight = self.body[0].weight
        self.frozen = nn.Linear(2, 2).requires_grad_(False)


@pytest.mark.parametrize(
    'options',
    [None, dict(norm_decay_mult=0.0, bias_lr_mult=2.0, bypass_duplicate=True)],
)
@pytest.mark.parametrize('scope', ['mmengine', 'mmamp', 'unknown'])
def test_holds_what_mmengine_s_does(options, scope):
    model = Net()
    cfg = dict(
        type='mmamp.AmpOptimWrapper',
        dtype='bfloat16',
        optimizer=dict(type='AdamW', lr=0.1, weight_decay=0.5),
        paramwise_cfg=options,
    )
    theirs = build_optim_wrapper(model, dict(cfg)).optimizer.param_groups
    with DefaultScope.overwrite_default_scope(scope):
        ours = build_optim_wrapper(model, dict(cfg, constructor=OURS))
    ours = ours.optimizer.param_groups
    assert len(ours) == len(theirs)
    for our, their in zip(ours, theirs, strict=True):
        our, their = dict(our), dict(their)
        ids = [list(map(id, x.pop('params'))) for x in (our, their)]
        assert ids[0] == ids[1]
        assert our == their


def test_wrapper_and_model_wrapper(tmp_path):
    torch.distributed.init_process_group(
        'gloo',
        init_method=f'file://{tmp_path / "store"}',
        rank=0,
        world_size=1,
    )
    try:
        model = MMDistributedDataParallel(Net())
        wrapper = build_optim_wrapper(
            model, dict(constructor=OURS, optimizer=dict(type='SGD', lr=0.1))
        )
    finally:
        torch.distributed.destroy_process_group()
    assert type(wrapper) is OptimWrapper
    assert len(wrapper.optimizer.param_groups[0]['params']) == 7


def test_a_float16_parameter_is_named():
    model = Net()
    model.body.half()
    cfg = dict(
        type='mmamp.AmpOptimWrapper',
        dtype='float16',
        constructor=OURS,
        optimizer=dict(type='SGD', lr=0.1),
    )
    with pytest.raises(ValueError, match=r"optim_wrapper: .*'body\.0\.weight"):
        build_optim_wrapper(model, cfg)


def test_the_config_is_left_as_it_was():
    cfg = dict(
        constructor=OURS,
        clip_grad=dict(type='value', clip_value=1.0),
        optimizer=dict(type='SGD', lr=0.1),
        param_groups=[dict(dims=[2], lr=0.2), dict()],
    )
    before = str(cfg)
    arguments = {k: x for k, x in cfg.items() if k != 'constructor'}
    constructor = mmamp.DefaultOptimWrapperConstructor(arguments)
    first, second = constructor(Net()), constructor(Net())
    assert first is not second
    assert str(cfg) == before
