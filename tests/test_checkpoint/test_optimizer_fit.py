import pytest
import torch
from mmengine.config import Config
from torch import nn, optim

from mmamp.checkpoint.optimizer_fit import missing_of, saved_type


def trained(kind, layer=None, **settings):
    layer = layer or nn.Linear(2, 1)
    optimizer = kind(layer.parameters(), lr=0.1, **settings)
    for param in layer.parameters():
        param.grad = param.detach().clone()
    optimizer.step()
    return optimizer


@pytest.mark.parametrize(
    ('saved', 'own', 'missing'),
    [
        (trained(optim.Adam), optim.Adamax, ['exp_inf']),
        (trained(optim.Adam), optim.Adagrad, ['lr_decay']),
        (trained(optim.SGD, momentum=0.9), optim.Adam, ['betas', 'eps']),
        (trained(optim.Adam), optim.AdamW, []),
        (trained(optim.Adam, amsgrad=True), optim.Adam, []),
        (trained(optim.SGD), optim.SGD, []),
    ],
)
def test_missing_of(saved, own, missing):
    optimizer = own(nn.Linear(2, 1).parameters(), lr=0.1)
    found = missing_of(optimizer, saved.state_dict())
    assert set(missing) <= set(found)
    assert bool(found) == bool(missing)


def test_one_that_needs_a_closure_takes_what_is_there():
    optimizer = optim.LBFGS(nn.Linear(2, 1).parameters())
    saved = optimizer.state_dict()
    assert missing_of(optimizer, saved) == []


def test_what_is_kept_of_a_matrix_is_not_what_is_of_a_vector():
    """Adafactor keeps rows and columns of the one, the whole of the other."""
    saved = trained(optim.Adafactor, layer=nn.Linear(3, 2))
    own = optim.Adafactor(nn.Linear(3, 2).parameters(), lr=0.1)
    assert missing_of(own, saved.state_dict()) == []
    other = trained(optim.Adam, layer=nn.Linear(3, 2)).state_dict()
    assert missing_of(own, other)


class WithFunction(optim.SGD):
    """As PSGD Kron, whose settings have a function."""

    def __init__(self, params, lr=0.1, probability=lambda step: 1.0):
        super().__init__(params, lr=lr)
        self.defaults['probability'] = probability
        for group in self.param_groups:
            group['probability'] = probability


def test_a_function_is_in_no_checkpoint():
    saved = trained(WithFunction).state_dict()
    for group in saved['param_groups']:
        del group['probability']
    own = WithFunction(nn.Linear(2, 1).parameters())
    assert missing_of(own, saved) == []


def test_nothing_large_is_built(monkeypatch):
    """A parameter may be larger than what a process has left."""
    sizes = []
    zeros = torch.zeros
    monkeypatch.setattr(
        torch, 'zeros', lambda shape: sizes.append(shape) or zeros(shape)
    )
    saved = trained(optim.Adam, layer=nn.Linear(3, 500)).state_dict()
    own = optim.Adam(nn.Linear(3, 500).parameters(), lr=0.1)
    assert missing_of(own, saved) == []
    assert set(sizes) == {(256, 3), (256,)}


class Later(optim.SGD):
    """With a setting that its earlier states do not have."""

    def __init__(self, params, lr=0.1, power=0.5):
        super().__init__(params, lr)
        self.defaults['power'] = power
        self.param_groups[0]['power'] = power

    def __setstate__(self, state):
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault('power', 0.5)


def test_a_setting_that_the_optimizer_fills_in():
    saved = trained(optim.SGD).state_dict()
    assert missing_of(Later(nn.Linear(2, 1).parameters()), saved) == []


def test_one_that_runs_in_kernels_of_another_device():
    saved = trained(optim.Adam).state_dict()
    saved['param_groups'][0].update(fused=True, capturable=True)
    optimizer = optim.Adam(nn.Linear(2, 1).parameters())
    assert missing_of(optimizer, saved) == []
    other = optim.Adamax(nn.Linear(2, 1).parameters())
    assert missing_of(other, saved) == ['exp_inf']


def test_saved_type():
    adam = dict(optimizer=dict(type='torch.optim.Adam', lr=0.1))
    cfg = Config(dict(a=1, optim_wrapper=dict(generator=adam)))
    meta = dict(cfg=cfg.pretty_text)
    assert saved_type(meta, 'generator') == 'Adam'
    assert saved_type(meta, 'critic') is None
    assert saved_type(meta, '') is None
    single = Config(dict(optim_wrapper=adam)).pretty_text
    assert saved_type(dict(cfg=single), '') == 'Adam'


@pytest.mark.parametrize('cfg', [None, 'a = (', 'optim_wrapper = 3'])
def test_a_config_that_says_nothing(cfg):
    assert saved_type(dict(cfg=cfg), '') is None
    assert saved_type({}, '') is None
