import pytest
from mmengine.config import Config

from mmamp.config.optimizers import (
    check_constructor,
    complete_schedulers,
    enable_auto_scale_lr,
)
from mmamp.errors import UsageError


def test_auto_scale_lr():
    cfg = Config(dict(auto_scale_lr=dict(base_batch_size=8, enable=False)))
    enable_auto_scale_lr(cfg)
    assert cfg.auto_scale_lr.enable is True
    for lacking in ({}, dict(auto_scale_lr=None)):
        with pytest.raises(UsageError, match='base_batch_size'):
            enable_auto_scale_lr(Config(lacking))


def test_several_optimizers_without_a_constructor():
    adam = dict(type='Adam', lr=1e-4)
    entries = dict(
        generator=dict(optimizer=adam), discriminator=dict(optimizer=adam)
    )
    text = 'for generator and discriminator, but no constructor'
    with pytest.raises(UsageError, match=text):
        check_constructor(Config(dict(optim_wrapper=entries)))
    for fine in (
        dict(entries, constructor='MultiOptimWrapperConstructor'),
        dict(optimizer=adam),
        dict(optimizer=adam, paramwise_cfg=dict(optimizer=1)),
        None,
    ):
        check_constructor(Config(dict(optim_wrapper=fine)))


@pytest.mark.parametrize('names', [['generatr'], ['generator', 'generatr']])
def test_schedules_of_other_optimizers(names):
    adam = dict(optimizer=dict(type='Adam', lr=1e-4))
    wrapper = dict(constructor='x', generator=adam, discriminator=adam)
    cfg = Config(
        dict(
            optim_wrapper=wrapper,
            param_scheduler={name: [dict(type='LinearLR')] for name in names},
        )
    )
    with pytest.raises(UsageError, match='^param_scheduler has') as error:
        complete_schedulers(cfg)
    text = str(error.value)
    assert "a schedule of 'generatr', but" in text
    assert "the optimizers are 'generator', 'discriminator'" in text
    assert "Did you mean 'generator'?" in text


def test_schedules_by_names_of_a_single_optimizer():
    cfg = Config(
        dict(
            optim_wrapper=dict(optimizer=dict(type='Adam', lr=1e-4)),
            param_scheduler=dict(generator=[dict(type='LinearLR')]),
        )
    )
    with pytest.raises(UsageError, match='one optimizer, without a name'):
        complete_schedulers(cfg)


def test_others_have_no_schedule():
    adam = dict(optimizer=dict(type='Adam', lr=1e-4))
    cfg = Config(
        dict(
            optim_wrapper=dict(constructor='x', a=adam, b=adam, c=adam),
            param_scheduler=dict(b=dict(type='LinearLR')),
        )
    )
    complete_schedulers(cfg)
    assert cfg.param_scheduler == dict(b=dict(type='LinearLR'), a=[], c=[])


def test_schedules():
    adam = dict(optimizer=dict(type='Adam', lr=1e-4))
    one = [dict(type='LinearLR')]
    for wrapper, schedulers in (
        (dict(constructor='x', a=adam, b=adam), dict(a=one, b=[])),
        (dict(constructor='x', a=adam, b=adam), one),
        (dict(constructor='x', a=adam, b=adam), one[0]),
        (dict(constructor='x'), dict(a=one)),
        (adam, one),
        (adam, one[0]),
        (None, None),
    ):
        cfg = Config(dict(optim_wrapper=wrapper, param_scheduler=schedulers))
        complete_schedulers(cfg)
        assert cfg.param_scheduler == schedulers
