"""Of ``benchmarks.optimizers.catalogue`` and ``settings``."""

import sys
import types

import pytest
import torch

from benchmarks.optimizers import catalogue
from benchmarks.optimizers.catalogue import PACKAGES, Entry, installed
from benchmarks.optimizers.settings import settings_of


def test_torch_s_own():
    entries, missing = installed(['torch'])
    assert not missing
    names = [entry.name for entry in entries]
    assert names == sorted(names)
    assert {'AdamW', 'SGD', 'LBFGS'} <= set(names)
    assert 'Optimizer' not in names
    (adamw,) = (x for x in entries if x.name == 'AdamW')
    assert adamw.cls is torch.optim.AdamW
    assert adamw.version == torch.__version__


def test_what_is_not_installed():
    package = next(x for x in PACKAGES if x not in ('torch', 'timm'))
    if package in PACKAGES and installed([package])[0]:
        pytest.skip(f'{package} is installed')
    assert installed([package]) == ([], {package: 'not installed'})


class Given(torch.optim.SGD):
    """What an optimizer of another package may ask for."""

    def __init__(self, params, lr, base_optimizer, more=1, **kwargs):
        super().__init__(params, lr)


class Unfinished(torch.optim.Optimizer):
    """A base class."""


def optimizers(name, **classes):
    module = types.ModuleType(name)
    for key, value in classes.items():
        value.__module__ = f'{name}.inside'
        setattr(module, key, value)
    return module


@pytest.fixture
def package(monkeypatch):
    """One that is installed."""
    module = optimizers('some_optimizers', Given=Given, Unfinished=Unfinished)
    module.Alias, module.AdamW = Given, torch.optim.AdamW
    monkeypatch.setitem(sys.modules, 'some_optimizers', module)
    monkeypatch.setitem(PACKAGES, 'some-optimizers', 'some_optimizers')
    monkeypatch.setattr(catalogue, 'version', lambda name: '1.2')


def test_one_name_for_a_class_and_none_of_others_or_bases(package):
    assert installed(['some-optimizers']) == (
        [Entry('some-optimizers', '1.2', 'some_optimizers.Given')],
        {},
    )


def test_settings_are_those_without_a_default(package):
    (entry,), _ = installed(['some-optimizers'])
    found = settings_of(entry)['optimizer']
    assert list(found) == ['type', 'lr', 'base_optimizer']
    assert found['type'] == 'some_optimizers.Given'
    assert found['base_optimizer']['type'] == 'torch.optim.AdamW'


def test_a_package_that_cannot_be_imported(package, monkeypatch):
    monkeypatch.setitem(PACKAGES, 'some-optimizers', 'no_such_module')
    entries, missing = installed(['some-optimizers'])
    assert entries == []
    assert 'No module named' in missing['some-optimizers']
