from mmengine.model import ExponentialMovingAverage
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from mmamp.utils.modules import named_modules, unwrap


def make():
    model = nn.Module()
    model.generator = nn.Sequential(nn.Linear(1, 1))
    model.generator_ema = ExponentialMovingAverage(model.generator)
    return model


def test_names_and_the_average_by_both_of_its():
    assert [names for names, _ in named_modules(make())] == [
        [''],
        ['generator'],
        ['generator.0'],
        ['generator_ema'],
        ['generator_ema.module', 'generator'],
        ['generator_ema.module.0', 'generator.0'],
    ]


def test_without_model_wrappers(tmp_path):
    distributed.init_process_group(
        'gloo', init_method=f'file://{tmp_path}/store', rank=0, world_size=1
    )
    try:
        inner = nn.Sequential(nn.Linear(1, 1))
        wrapped = DistributedDataParallel(inner)
        assert unwrap(wrapped) is inner
        assert unwrap(inner) is inner
        model = nn.ModuleDict(dict(net=wrapped))
        found = {names[0]: m for names, m in named_modules(model)}
        assert found == {'': model, 'net': inner, 'net.0': inner[0]}
    finally:
        distributed.destroy_process_group()
