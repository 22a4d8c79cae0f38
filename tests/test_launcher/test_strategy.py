import pytest
from mmengine.config import Config
from mmengine.model import BaseModel

from mmamp.errors import UsageError
from mmamp.launcher.model_wrapper import SEPARATE
from mmamp.launcher.strategy import set_strategy
from mmamp.registry import MODELS


@MODELS.register_module(force=True)
class PlainForStrategy(BaseModel):
    def forward(self, inputs):
        pass


def config(strategy, model='ImageGAN', launcher='pytorch', **kwargs):
    cfg = Config(
        dict(
            default_scope='mmamp',
            launcher=launcher,
            model=dict(type=model),
            strategy=strategy,
            **kwargs,
        )
    )
    set_strategy(cfg)
    return cfg


def test_it_is_built_by_a_flexible_runner(mm_log):
    cfg = config(dict(type='FSDP2Strategy', units=['a']))
    assert cfg.runner_type == 'FlexibleRunner'
    assert cfg.env_cfg == {}
    # Which knows of no default scope yet.
    assert cfg.strategy == dict(type='mmamp.FSDP2Strategy', units=['a'])
    assert 'FlexibleRunner' in mm_log()
    again = Config(cfg.to_dict())
    set_strategy(again)
    assert again.to_dict() == cfg.to_dict()


def test_without_one_nothing_is_changed():
    cfg = config(None)
    assert 'runner_type' not in cfg


def test_a_runner_of_the_users_own_stays():
    kinds = dict(runner_type='mmdet.OwnRunner')
    assert config(dict(type='x.Own'), **kinds).runner_type == 'mmdet.OwnRunner'


def test_ddp_gets_the_wrapper_that_the_model_needs(mm_log):
    cfg = config(dict(type='DDPStrategy'))
    assert cfg.strategy.model_wrapper.type == SEPARATE
    assert f'strategy.model_wrapper: {cfg.strategy.model_wrapper}' in mm_log()
    plain = config(dict(type='DDPStrategy'), model='PlainForStrategy')
    wrapper = plain.strategy.model_wrapper
    assert wrapper.type == 'MMDistributedDataParallel'
    assert wrapper.device_ids is None  # on a CPU


def test_settings_that_a_flexible_runner_would_not_see(mm_log):
    wrapper = dict(type=SEPARATE, find_unused_parameters=True)
    cfg = config(
        dict(type='DDPStrategy'), model_wrapper_cfg=wrapper, sync_bn='torch'
    )
    assert cfg.strategy.model_wrapper == wrapper
    assert cfg.strategy.sync_bn == 'torch'
    assert cfg.get('model_wrapper_cfg') is cfg.get('sync_bn') is None
    assert "strategy.sync_bn: 'torch'" in mm_log()
    cfg = config(dict(type='FSDP2Strategy'), find_unused_parameters=True)
    assert cfg.strategy.find_unused_parameters
    assert 'strategy.find_unused_parameters: True' in mm_log()


@pytest.mark.parametrize('param_dtype', [None, 'auto', 'float32'])
def test_single_modules_rules_need_float32(mm_log, param_dtype):
    given = dict(param_dtype=param_dtype) if param_dtype else {}
    cfg = config(
        dict(type='mmamp.FSDP2Strategy', **given),
        custom_hooks=[dict(type='mmamp.PrecisionHook', rules=['to_rgb'])],
    )
    assert cfg.strategy.param_dtype == 'float32'
    said = 'since PrecisionHook has rules' in mm_log()
    assert said == (param_dtype != 'float32')


@pytest.mark.parametrize(
    ('strategy', 'kwargs', 'match'),
    [
        ('DDP', {}, "but is 'DDP'"),
        (dict(units=[]), {}, 'strategy must be a dict'),
        (dict(type='FSDPStrategy'), {}, 'shards by FSDP1'),
        (dict(type='mmengine.ColossalAIStrategy'), {}, 'optimizer wrapper'),
        (
            dict(type='DeepSpeedStrategy'),
            {},
            'would not run the train_step of ImageGAN',
        ),
        (dict(type='SingleDeviceStrategy'), {}, 'in one process'),
        (
            dict(type='FSDP2Strategy'),
            dict(model_wrapper_cfg=dict(type=SEPARATE)),
            'model_wrapper_cfg has no effect beside strategy FSDP2Strategy',
        ),
        (
            dict(type='FSDP2Strategy'),
            dict(custom_hooks=[dict(type='mmamp.EMAHook')]),
            'EMAHook copies the model',
        ),
        (
            dict(type='DDPStrategy'),
            dict(custom_hooks=[dict(type='mmengine.EMAHook')]),
            "type='mmamp.EMAHook' can",
        ),
        (
            dict(type='DDPStrategy'),
            dict(launcher='none'),
            'bash tools/dist_train.sh',
        ),
        (
            dict(
                type='DDPStrategy',
                model_wrapper=dict(type='MMDistributedDataParallel'),
            ),
            {},
            'strategy.model_wrapper: MMDistributedDataParallel would not run',
        ),
    ],
)
def test_what_is_refused(strategy, kwargs, match):
    with pytest.raises(UsageError, match=match):
        config(strategy, **kwargs)


def test_deepspeed_for_a_single_network():
    cfg = config(dict(type='DeepSpeedStrategy'), model='PlainForStrategy')
    assert cfg.strategy == dict(type='DeepSpeedStrategy')


@pytest.mark.parametrize('scope', ['', 'mmamp.', 'mmengine.'])
def test_a_misspelt_strategy(scope):
    with pytest.raises(UsageError) as error:
        config(dict(type=f'{scope}FSDP2Strateg'))
    text = str(error.value)
    assert f"there is no '{scope}FSDP2Strateg'; there are " in text
    assert "Did you mean 'FSDP2Strategy'" in text
    assert 'ColossalAI' not in text
