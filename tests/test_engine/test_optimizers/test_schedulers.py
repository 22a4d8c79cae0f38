"""MMEngine's schedulers beside wrappers that do not step each iteration."""

import math
import warnings

import pytest
import torch
from mmengine.optim import LinearLR
from torch import nn

from mmamp import AmpOptimWrapper

SCHEDULE = dict(
    type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=4
)
SKIPS = dict(dtype='float16', loss_scale=dict(init_scale=2.0**40))


@pytest.fixture
def warned():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        yield lambda: [
            str(x.message) for x in caught if 'before' in str(x.message)
        ]


@pytest.mark.parametrize('kind', ['classifier', 'gan'])
@pytest.mark.parametrize('change', [dict(accumulative_counts=2), SKIPS])
def test_no_warning_of_the_order(build_runner, warned, kind, change):
    def edit(cfg):
        wrappers = [cfg.optim_wrapper]
        if kind == 'gan':
            sides = ('generator', 'discriminator')
            wrappers = [cfg.optim_wrapper[side] for side in sides]
            cfg.param_scheduler = {side: [SCHEDULE] for side in sides}
            cfg.model.discriminator_steps = 2
        else:
            cfg.param_scheduler = [SCHEDULE]
        for wrapper in wrappers:
            wrapper.update(change)

    runner = build_runner(kind, edit=edit)
    runner.train()
    assert warned() == []
    # Iterations count, not updates.
    rates = runner.optim_wrapper.get_lr()
    found = [rate for key, rate in rates.items() if 'base' not in key]
    assert all(math.isclose(x[0], 1e-3) for x in found)


def by_hand(order):
    net = nn.Linear(2, 1)
    wrapper = AmpOptimWrapper(
        torch.optim.SGD(net.parameters(), lr=1.0),
        dtype='float32',
        accumulative_counts=2,
    )
    scheduler = LinearLR(wrapper, by_epoch=False)
    for step in order:
        if step == 'scheduler':
            scheduler.step()
            continue
        with wrapper.optim_context(net):
            loss = net(torch.ones(1, 2)).sum()
        wrapper.update_params(loss)


def test_in_a_loop_of_ones_own(warned):
    by_hand(['update', 'scheduler', 'update', 'scheduler'])
    assert warned() == []


def test_an_order_that_is_wrong(warned):
    by_hand(['scheduler', 'update'])
    assert len(warned()) == 1
