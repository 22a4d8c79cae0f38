import pytest
import torch
from torch import nn

from mmamp.compat.torch import (
    buffers_of,
    children_of,
    forward_pre_hooks,
    mkldnn_has,
    non_persistent_buffers,
    on_state_dict,
    parameters_of,
    say_it_skips,
    set_versions,
    skips_by_itself,
    uncompiled,
    versions_of,
)


def test_what_a_module_has():
    module = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 1, bias=False))
    norm, linear = module
    norm.register_buffer('passing', torch.ones(1), persistent=False)
    assert list(children_of(module)) == ['0', '1']
    assert parameters_of(linear)['weight'] is linear.weight
    assert parameters_of(linear)['bias'] is None
    assert buffers_of(norm)['running_mean'] is norm.running_mean
    assert non_persistent_buffers(norm) == {'passing'}
    handle = linear.register_forward_pre_hook(print)
    assert forward_pre_hooks(linear) == [print]
    handle.remove()
    assert forward_pre_hooks(linear) == []


def test_a_compiled_module_runs_as_it_was_and_is_compiled_afterwards():
    class Doubles(nn.Module):
        def forward(self, x):
            return x * 2

    module, calls = Doubles(), []

    def backend(graph, inputs):
        calls.append(graph)
        return graph.forward

    module.compile(backend=backend)
    with uncompiled(module):
        module(torch.ones(1, 2))
        assert not calls
    module(torch.ones(1, 2))
    assert calls


def test_versions_of_a_state():
    state = nn.BatchNorm1d(2).state_dict()
    assert versions_of(state)['']['version'] == 2
    assert versions_of(dict(state)) is None
    set_versions(state, {})
    assert versions_of(state) == {}


def test_a_hook_may_return_another_state():
    module = nn.Linear(1, 1)
    on_state_dict(module, lambda *args: {'all': 1})
    assert module.state_dict() == {'all': 1}


@pytest.mark.parametrize('foreach', [None, False])
def test_optimizers_that_skip_by_themselves(foreach):
    params = [nn.Parameter(torch.ones(1))]
    assert not skips_by_itself(torch.optim.Adam(params, foreach=foreach))
    fused = torch.optim.Adam(params, fused=True)
    assert skips_by_itself(fused)
    told = torch.optim.SGD(params, lr=1)
    say_it_skips(told)
    assert skips_by_itself(told)


def test_optimizers_that_ask_the_scaler():
    class Older(torch.optim.SGD):
        _step_supports_amp_scaling = True

        def step(self, closure=None, grad_scaler=None):
            return super().step(closure)

    assert not skips_by_itself(Older([nn.Parameter(torch.ones(1))], lr=1))


def test_kernels_of_one_dnn():
    assert isinstance(mkldnn_has(torch.bfloat16), bool)
    assert not mkldnn_has(torch.float64)
