"""The examples of the docstrings are run, and what they configure is built."""

import ast
import contextlib
import doctest
import inspect
import io
import re
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from has_fsdp2 import HAS_FSDP2, WHY
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from public_api import methods, public_objects, registered
from torch import distributed, nn

import mmamp
from mmamp import registry

PARSED_ONLY = ('InceptionV3',)
"""They need files that nobody may download here."""


def examples_of(value):
    return doctest.DocTestParser().get_examples(inspect.getdoc(value) or '')


def _with_examples():
    """What has an example, by name."""
    for name, value in public_objects().items():
        owned = methods(value).items() if inspect.isclass(value) else ()
        members = {f'{name}.{key}': method for key, method in owned}
        for key, member in {name: value, **members}.items():
            if examples_of(member):
                yield key, member


EXAMPLES = dict(_with_examples())


def test_all_that_a_config_or_an_import_names_has_an_example():
    named = [x for types in registered().values() for x in types.values()]
    named += [getattr(mmamp, x) for x in mmamp.__all__ if x[0] != '_']
    assert [x.__name__ for x in named if not examples_of(x)] == []


@pytest.mark.parametrize('name', EXAMPLES)
def test_example(name, place):
    if 'FSDP2' in name and not HAS_FSDP2:
        pytest.skip(WHY)
    value = EXAMPLES[name]
    names = vars(sys.modules[value.__module__]) | _surroundings(value)
    names['__name__'] = 'examples'
    for example in examples_of(value):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(example.source, name, 'single'), names)
        # Above what it prints there may be the log.
        wanted = example.want.split()
        assert not wanted or printed.getvalue().split()[-len(wanted) :] == (
            wanted
        )
        statement = ast.parse(example.source).body[0]
        if isinstance(statement, ast.Assign):
            key = ast.unparse(statement.targets[0])
            if key in BUILDERS:
                _build(key, names)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The folders that examples speak of, and a scope."""
    monkeypatch.chdir(tmp_path)
    Path('configs').symlink_to(Path(__file__).parents[1] / 'configs')
    for folder in (
        'faces',
        'facades/train/labels',
        'facades/train/photos',
        'horse2zebra/trainA',
        'horse2zebra/trainB',
    ):
        path = Path('data', folder, '0.png')
        path.parent.mkdir(parents=True)
        cv2.imwrite(str(path), np.zeros((64, 64, 3), np.uint8))
    kept = registry.MODELS.module_dict.copy()
    with DefaultScope.overwrite_default_scope('mmamp'):
        yield
    registry.MODELS.module_dict.clear()
    registry.MODELS.module_dict.update(kept)


def _surroundings(value):
    """What the code of an example has at hand."""
    if value is not mmamp.AmpOptimWrapper.grad:
        return {}
    critic = nn.Sequential(nn.Flatten(), nn.Linear(192, 1))
    model = nn.ModuleDict(dict(discriminator=critic))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return {
        'self': model,
        'optim_wrapper': mmamp.AmpOptimWrapper(optimizer),
        'real': torch.rand(2, 3, 8, 8),
    }


# ---- what a key of a config is built by ------------------------------------


def _build(key, names):
    """Build what an example configures; what needs files is parsed."""
    text = Config({key: names[key]}).pretty_text
    cfg = Config.fromstring(text, '.py')[key]
    if any(x in text for x in PARSED_ONLY):
        return _check_arguments(cfg)
    return BUILDERS[key](cfg, names)


def _check_arguments(cfg):
    """Whether every type of a config takes the arguments given."""
    for value in cfg.values():
        if isinstance(value, dict):
            _check_arguments(value)
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
    'param_scheduler': _in('PARAM_SCHEDULERS', optimizer=OPTIMIZER),
    'pipeline': _in('TRANSFORMS'),
    'strategy': _in('STRATEGIES', work_dir='work_dirs/run'),
    'train_dataloader': _dataloader,
    'val_evaluator': _in('METRICS'),
}
