import pytest
from mmengine.config import Config
from mmengine.model import BaseModel, MMDistributedDataParallel

import mmamp  # noqa: F401
from mmamp.errors import UsageError
from mmamp.launcher.model_wrapper import SEPARATE, set_model_wrapper
from mmamp.registry import MODEL_WRAPPERS, MODELS


@MODELS.register_module(force=True)
class PlainModel(BaseModel):
    def forward(self, inputs):
        pass


@MODEL_WRAPPERS.register_module(force=True)
class OwnWrapper(MMDistributedDataParallel):
    def train_step(self, data, optim_wrapper):
        return self.module.train_step(data, optim_wrapper)


@pytest.fixture
def wrapper_of(monkeypatch):
    def set_wrapper(model, wrapper=None, device='cpu', **kwargs):
        monkeypatch.setattr(
            'mmamp.launcher.model_wrapper.get_device', lambda: device
        )
        cfg = Config(
            dict(
                default_scope='mmamp',
                launcher='pytorch',
                model=dict(type=model),
                model_wrapper_cfg=wrapper,
            )
            | kwargs
        )
        set_model_wrapper(cfg)
        found = cfg.model_wrapper_cfg
        return None if found is None else dict(found)

    return set_wrapper


DDP = dict(
    type='MMDistributedDataParallel',
    broadcast_buffers=False,
    find_unused_parameters=False,
)


@pytest.mark.parametrize('device', ['cpu', 'cuda'])
def test_a_gan(wrapper_of, device):
    expected = dict(DDP, type=SEPARATE)
    assert wrapper_of('ImageGAN', device=device) == expected


def test_a_plain_model_on_the_cpu(wrapper_of):
    assert wrapper_of('PlainModel') == dict(DDP, device_ids=None)


def test_a_plain_model_on_a_gpu_is_the_runners(wrapper_of):
    assert wrapper_of('PlainModel', device='cuda') is None


def test_without_a_launcher(wrapper_of):
    assert wrapper_of('ImageGAN', launcher='none') is None


@pytest.mark.parametrize('model', ['ImageGAN', 'PlainModel'])
def test_find_unused_parameters_is_kept(wrapper_of, model):
    found = wrapper_of(model, find_unused_parameters=True)
    assert found['find_unused_parameters'] is True


@pytest.mark.parametrize(
    'kind',
    [
        'MMSeparateDistributedDataParallel',
        'mmengine.MMSeparateDistributedDataParallel',
    ],
)
def test_the_stock_separate_wrapper_is_put_right(wrapper_of, kind):
    given = dict(type=kind, find_unused_parameters=True)
    assert wrapper_of('ImageGAN', given) == dict(given, type=SEPARATE)


@pytest.mark.parametrize(
    'wrapper',
    [
        dict(type='MMDistributedDataParallel'),
        dict(type='DistributedDataParallel'),
        dict(type='MMFullyShardedDataParallel'),
        dict(broadcast_buffers=True),
    ],
)
def test_one_that_bypasses_train_step(wrapper_of, wrapper):
    with pytest.raises(UsageError, match=rf'ImageGAN.*{SEPARATE}'):
        wrapper_of('ImageGAN', wrapper)


def test_one_of_the_users_own(wrapper_of):
    given = dict(type='OwnWrapper')
    assert wrapper_of('ImageGAN', given, device='cuda') == given
    expected = dict(given, device_ids=None)
    assert wrapper_of('ImageGAN', given) == expected


@pytest.mark.parametrize('device_ids', [None, [0]])
def test_device_ids_of_the_users(wrapper_of, device_ids):
    given = dict(type='MMDistributedDataParallel', device_ids=device_ids)
    assert wrapper_of('PlainModel', given) == given


def test_what_is_not_registered_is_the_runners_to_tell(wrapper_of):
    given = dict(type='Nonsense')
    assert wrapper_of('ImageGAN', given) == given
    assert wrapper_of('Nonsense', device='cuda') is None


def test_mmamps_own_without_its_scope(wrapper_of):
    """The Runner would not find it under the default scope."""
    given = dict(type='SeparateDistributedDataParallel')
    assert wrapper_of('ImageGAN', given) == dict(type=SEPARATE)
