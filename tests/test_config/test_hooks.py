import pytest
from mmengine.config import Config
from mmengine.hooks import CheckpointHook, EMAHook, Hook

from mmamp.config.hooks import HOOKS, add_hooks, evaluate_as_trained


class Mine(Hook):
    pass


class StateHook(Hook):
    pass


RULES = dict(type='mmamp.PrecisionHook', rules=['normalization'])
ALL_BUT_STATE = [name for name in HOOKS if name != 'StateHook']


@pytest.mark.parametrize(
    ('present', 'added'),
    [
        (None, HOOKS),
        ([dict(type='mmamp.StateHook')], ALL_BUT_STATE),
        ([dict(type=StateHook)], ALL_BUT_STATE),
        ([StateHook()], ALL_BUT_STATE),
        ([Mine()], HOOKS),
        ([dict(type=name) for name in HOOKS], []),
    ],
)
def test_add_hooks(present, added):
    cfg = Config(dict(custom_hooks=present))
    add_hooks(cfg)
    hooks = cfg.custom_hooks or []
    types = [h['type'] for h in hooks[len(present or []) :]]
    assert types == [f'mmamp.{name}' for name in added]


@pytest.mark.parametrize(
    ('given', 'expected'),
    [
        (None, 'mmamp.CheckpointHook'),
        (dict(), 'mmamp.CheckpointHook'),
        (
            dict(checkpoint=dict(type='CheckpointHook', interval=3)),
            'mmamp.CheckpointHook',
        ),
        (
            dict(checkpoint=dict(type='mmengine.CheckpointHook')),
            'mmamp.CheckpointHook',
        ),
        (dict(checkpoint=dict(type=CheckpointHook)), 'mmamp.CheckpointHook'),
        (dict(checkpoint=dict(type='theirs.Checkpoints')), None),
        (dict(checkpoint=None), None),
    ],
)
def test_only_a_stock_checkpoint_hook_is_replaced(given, expected, mm_log):
    cfg = Config(dict(default_hooks=given))
    add_hooks(cfg)
    if expected is None:
        assert cfg.default_hooks.checkpoint == given['checkpoint']
        assert 'CheckpointHook ->' not in mm_log()
        return
    assert cfg.default_hooks.checkpoint.type == expected
    assert 'CheckpointHook -> mmamp.CheckpointHook' in mm_log()
    if given and 'interval' in given.get('checkpoint', {}):
        assert cfg.default_hooks.checkpoint.interval == 3


def test_a_stock_runtime_info_hook_is_replaced(mm_log):
    cfg = Config(dict())
    add_hooks(cfg)
    assert cfg.default_hooks.runtime_info.type == 'mmamp.RuntimeInfoHook'
    assert 'RuntimeInfoHook -> mmamp.RuntimeInfoHook' in mm_log()
    before = cfg.to_dict()
    add_hooks(cfg)
    assert cfg.to_dict() == before
    for own in (None, dict(type='theirs.RuntimeInfoHook')):
        cfg = Config(dict(default_hooks=dict(runtime_info=own)))
        add_hooks(cfg)
        assert cfg.default_hooks.runtime_info == own


@pytest.mark.parametrize(
    ('kind', 'scope', 'is_told'),
    [
        ('EMAHook', 'mmdet', True),
        ('mmengine.EMAHook', 'mmamp', True),
        (EMAHook, 'mmamp', True),
        ('EMAHook', 'mmamp', False),
        ('mmamp.EMAHook', 'mmdet', False),
    ],
)
def test_mmengines_average_is_told_of(kind, scope, is_told, mm_log):
    cfg = Config(dict(default_scope=scope, custom_hooks=[dict(type=kind)]))
    add_hooks(cfg)
    assert cfg.custom_hooks[0].type is kind or cfg.custom_hooks[0].type == kind
    assert ("type='mmamp.EMAHook' does not" in mm_log()) == is_told


def amp(**kwargs):
    return dict(type='mmamp.AmpOptimWrapper', optimizer=dict(), **kwargs)


class TestEvaluateAsTrained:
    def cfg(self, wrapper, **kwargs):
        loops = dict(val_cfg=dict(), val_dataloader=dict()) | kwargs
        return Config(dict(optim_wrapper=wrapper, **loops))

    @pytest.mark.parametrize(
        'wrapper',
        [
            amp(),
            amp(dtype='float16'),
            dict(discriminator=amp(), generator=amp(dtype='auto')),
            dict(one=amp(dtype='bfloat16'), two=amp()),
        ],
    )
    def test_in_the_dtype_of_training(self, wrapper, mm_log):
        cfg = self.cfg(wrapper)
        evaluate_as_trained(cfg)
        evaluate_as_trained(cfg)
        (hook,) = cfg.custom_hooks
        assert hook == dict(type='mmamp.EvalPrecisionHook')
        assert mm_log().count('evaluates in the dtype of training') == 1

    @pytest.mark.parametrize(
        ('wrapper', 'kwargs'),
        [
            (dict(optimizer=dict()), {}),
            (amp(dtype='float32'), {}),
            (dict(generator=dict(optimizer=dict()), critic=amp()), {}),
            (dict(), {}),
            (amp(), dict(val_dataloader=None)),
            (amp(), dict(val_cfg=dict(fp16=False))),
            (amp(), dict(val_dataloader=None, custom_hooks=[RULES])),
        ],
        ids=['plain', 'kept', 'generator', 'none', 'no val', 'set', 'rules'],
    )
    def test_nothing_to_add(self, wrapper, kwargs, mm_log):
        cfg = self.cfg(wrapper, **kwargs)
        evaluate_as_trained(cfg)
        assert cfg.get('custom_hooks') == kwargs.get('custom_hooks')
        assert not mm_log()

    @pytest.mark.parametrize(
        ('wrapper', 'kwargs'),
        [
            (dict(optimizer=dict()), dict(val_cfg=dict(fp16=True))),
            (amp(), dict(val_cfg=dict(fp16=True))),
            (amp(dtype='float32'), dict(custom_hooks=[RULES])),
        ],
        ids=['fp16', 'both', 'rules'],
    )
    def test_for_the_predictions_alone(self, wrapper, kwargs):
        cfg = self.cfg(wrapper, **kwargs)
        evaluate_as_trained(cfg)
        assert cfg.custom_hooks[-1] == dict(type='mmamp.EvalPrecisionHook')
