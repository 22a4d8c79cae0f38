"""The examples of the docstrings are run, and what they configure is built."""

import ast
import contextlib
import doctest
import inspect
import io
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from built_examples import BUILDERS, build
from has_fsdp2 import HAS_FSDP2, WHY
from mmengine.registry import DefaultScope
from public_api import methods, public_objects, registered
from torch import nn

import mmamp
from mmamp import registry


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
                build(key, names)


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
