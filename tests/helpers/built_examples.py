"""What the examples of docstrings and pages configure, built."""

import inspect
import re

import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.runner import Runner
from torch import distributed, nn

import mmamp.datasets
import mmamp.evaluation
import mmamp.models  # noqa: F401  (before a fixture keeps what is registered)
from mmamp import registry

PARSED_ONLY = ('InceptionV3',)
"""They need files that nobody may download here."""


def build(key, names):
    """Build what an example configures; what needs files is parsed."""
    text = Config({key: names[key]}).pretty_text
    cfg = Config.fromstring(text, '.py')[key]
    if any(x in text for x in PARSED_ONLY):
        return check_arguments(cfg)
    return BUILDERS[key](cfg, names)


def check_arguments(cfg):
    """Whether every type of a config takes the arguments given."""
    for value in cfg.values():
        if isinstance(value, dict):
            check_arguments(value)
    found = [getattr(registry, x).get(cfg.type) for x in registry.__all__]
    (cls,) = set(found) - {None}
    inspect.signature(cls).bind(**{k: cfg[k] for k in cfg if k != 'type'})


def _in(name, **given):
    def build(cfg, names):
        items = cfg if isinstance(cfg, list) else [cfg]
        for item in items:
            getattr(registry, name).build(item, default_args=given or None)

    return build


def _dataset(cfg, names):
    item = registry.DATASETS.build(cfg)[0]
    assert item['inputs'].ndim == 3


def _dataloader(cfg, names):
    batch = next(iter(Runner.build_dataloader(cfg, seed=0)))
    assert len(batch['inputs']) == cfg.batch_size


def _default_hooks(cfg, names):
    for hook in cfg.values():
        registry.HOOKS.build(hook)


def _model_wrapper(cfg, names):
    distributed.init_process_group(
        'gloo', rank=0, world_size=1, store=distributed.HashStore()
    )
    try:
        network = nn.ModuleDict(dict(generator=nn.Linear(2, 2)))
        _in('MODEL_WRAPPERS', module=network)(cfg, names)
    finally:
        distributed.destroy_process_group()


def _optim_wrapper(cfg, names):
    """On the example's model, or one that has the modules named."""
    if 'model' in names:
        model = registry.MODELS.build(names['model'])
    else:
        children = [x for x in cfg.values() if isinstance(x, dict)]
        patterns = [y for x in [cfg, *children] for y in x.get('modules', ())]
        patterns += [
            key
            for key, value in cfg.items()
            if isinstance(value, dict)
            and 'optimizer' in value
            and 'modules' not in value
        ]
        model = nn.ModuleDict(
            {
                re.sub(r'\.\*', 'a', x): nn.Linear(2, 2)
                for x in patterns or ['network']
            }
        )
    build_optim_wrapper(model, cfg)


MODEL_KEYS = (
    'augment',
    'data_preprocessor',
    'disc_regularizers',
    'discriminator',
    'feature_network',
    'gan_loss',
    'gen_regularizers',
    'generator',
    'model',
    'of_cyclegan',
    'of_pix2pix',
    'perceptual_loss',
)
OPTIMIZER = torch.optim.SGD([torch.zeros(1)], lr=0.1)
BUILDERS = {
    **{key: _in('MODELS') for key in MODEL_KEYS},
    'custom_hooks': _in('HOOKS'),
    'dataset': _dataset,
    'default_hooks': _default_hooks,
    'model_wrapper_cfg': _model_wrapper,
    'optim_wrapper': _optim_wrapper,
    'param_scheduler': _in(
        'PARAM_SCHEDULERS', optimizer=OPTIMIZER, epoch_length=2
    ),
    'pipeline': _in('TRANSFORMS'),
    'strategy': _in('STRATEGIES', work_dir='work_dirs/run'),
    'train_dataloader': _dataloader,
    'val_evaluator': _in('METRICS'),
}
