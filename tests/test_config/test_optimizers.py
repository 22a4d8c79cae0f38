import pytest
from mmengine.config import Config

from mmamp.config.optimizers import check_constructor, enable_auto_scale_lr
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
