"""States of optimizers that are not tensors of the parameters' kind."""

import io
import logging
import random
import re
from collections import deque
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from mmamp import AmpOptimWrapper
from mmamp.errors import UsageError


class Stateful(torch.optim.SGD):
    """SGD that keeps something of its gradients, and steps by it."""

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for param in group['params']:
                if param.grad is not None:
                    param.sub_(self.step_of(param, self.state[param]))

    def step_of(self, param, state):
        raise NotImplementedError


class Delayed(Stateful):
    """Of the gradient before the last, as AdaShift's."""

    def step_of(self, param, state):
        kept = state.setdefault('grads', deque(maxlen=3))
        kept.append(param.grad.clone())
        return 0.1 * kept[0]


class Projector:
    def __init__(self):
        self.calls, self.matrix, self.seen = 0, None, deque(maxlen=2)

    def __call__(self, grad):
        if self.calls % 3 == 0:
            self.matrix = grad.sign()
        self.calls += 1
        return 0.1 * self.matrix * grad.abs()


class Projected(Stateful):
    """By an object, as GaLore's."""

    def step_of(self, param, state):
        if 'projector' not in state:
            state['projector'] = Projector()
        return state['projector'](param.grad)


class Counting(torch.optim.SGD):
    """Its count is of no parameter, as MADGRAD's."""

    def __init__(self, params, lr=0.1):
        super().__init__(params, lr)
        self.state['k'] = torch.tensor([0])

    @torch.no_grad()
    def step(self, closure=None):
        self.state['k'] += 1
        for group in self.param_groups:
            for param in group['params']:
                if param.grad is not None:
                    param.sub_(param.grad / self.state['k'])


class Small(Stateful):
    """Keeps a gradient in few bits, and which elements were large."""

    def step_of(self, param, state):
        last = state.get('last', torch.zeros_like(param)).float()
        state['last'] = param.grad.bfloat16()
        state['large'] = param.grad.abs() > 0.1
        state['code'] = (param.grad.clamp(-1, 1) * 100).to(torch.int8)
        assert state['code'].dtype is torch.int8
        return 0.1 * last + 0.01 * param.grad

    def dtypes(self):
        (first, *_) = self.state.values()
        return {key: value.dtype for key, value in first.items()}


class Around(torch.optim.Optimizer):
    """Holds another one, whose state its own does not have."""

    def __init__(self, params, lr=0.1):
        super().__init__(params, dict(lr=lr))
        self.inner = torch.optim.SGD(self.param_groups, lr, momentum=0.9)
        self.param_groups = self.inner.param_groups

    def step(self, closure=None):
        self.inner.step()


class Drawing(Stateful):
    """Draws by a generator of its own, and counts, as timm's Adahessian."""

    def __init__(self, params, lr=0.1):
        super().__init__(params, lr)
        self.generator = torch.Generator().manual_seed(1)
        self.calls = 0

    def step_of(self, param, state):
        state['drawn'] = torch.rand(param.shape, generator=self.generator)
        self.calls += 1
        return 0.1 / self.calls * state['drawn'] * param.grad


class DrawingOtherwise(Stateful):
    """Draws by generators of Python and numpy, one made when it is needed."""

    def __init__(self, params, lr=0.1):
        super().__init__(params, lr)
        self.random = random.Random(1)
        self.legacy = np.random.RandomState(1)
        self.of_numpy = [
            np.random.Generator(kind(1))
            for kind in (np.random.PCG64, np.random.MT19937, np.random.SFC64)
        ]
        self.late = None

    def step_of(self, param, state):
        if self.late is None:
            self.late = torch.Generator().manual_seed(1)
        drawn = (
            self.random.gauss(0, 1)
            + self.legacy.normal()
            + sum(float(x.normal()) for x in self.of_numpy)
            + float(torch.rand((), generator=self.late))
        )
        return 0.01 * drawn * param.grad


class OfItsState(Stateful):
    """Keeps tensors of its state in attributes, with what it counts."""

    def __init__(self, params, lr=0.1):
        super().__init__(params, lr)
        self.kept = {}

    def step_of(self, param, state):
        state.setdefault('m', [torch.zeros_like(param)])
        kept = self.kept.setdefault(param, dict(m=state['m'][0], n=0))
        kept['n'] += 1
        kept['m'].mul_(0.9).add_(param.grad)
        return state['m'][0] / kept['n']


class HoldsAPlace(Stateful):
    """Has a tensor from the start that its state shares later."""

    def __init__(self, params, lr=0.1):
        super().__init__(params, lr)
        self.place = torch.zeros_like(self.param_groups[0]['params'][0])

    def step_of(self, param, state):
        is_shared = param.shape == self.place.shape
        if 'm' not in state:
            state['m'] = self.place if is_shared else torch.zeros_like(param)
        own = self.place if is_shared else state['m']
        own.mul_(0.9).add_(param.grad)
        return 0.1 * state['m']


class Remembering(Stateful):
    """Keeps what it needs in attributes of its own, in many forms."""

    def __init__(self, params, lr=0.1):
        super().__init__(params, lr)
        self.everyone = [p for g in self.param_groups for p in g['params']]
        self.total = torch.zeros(2)
        self.rules = dict(half=lambda x: x / 2)
        self.projector = Projector()
        self._count = 0

    def step(self, closure=None):
        if not hasattr(self, 'slow'):
            self.slow = {p: p.detach().clone() for p in self.everyone}
            self.by_id = {id(p): torch.zeros_like(p) for p in self.everyone}
            self.seen = deque(maxlen=2)
            self.pairs = [(p, torch.zeros(())) for p in self.everyone]
        self._count += 1
        self.seen.append(self.everyone[0].grad.abs().mean())
        super().step()

    def step_of(self, param, state):
        state['velocity'] = state.get('velocity', 0) * 0.5 + param.grad
        self.views = [state['velocity']]
        self.total += param.grad.abs().mean()
        self.by_id[id(param)].add_(param.grad)
        self.slow[param].lerp_(param, 0.1)
        for other, value in self.pairs:
            if other is param:
                value += 0.1
        return (
            self.rules['half'](self.by_id[id(param)])
            + self.projector(self.everyone[0].grad).mean()
            + self.total.sum() * 0.01
            + (param - self.slow[param]) * 0.1
            + sum(value for _, value in self.pairs) * 0.01
            + state['velocity'] * sum(self.seen)
        ) / (10 + self._count)


class AroundProjected(torch.optim.Optimizer):
    """Holds one with objects in its state."""

    def __init__(self, params, lr=0.1):
        super().__init__(params, dict(lr=lr))
        self.inner = Projected(self.param_groups, lr)
        self.param_groups = self.inner.param_groups

    def step(self, closure=None):
        self.inner.step()


class OfTheWeights(Stateful):
    """A state that is the weight itself, as dowg's in float32."""

    def step_of(self, param, state):
        state.setdefault('now', param.detach())
        before = state.setdefault('before', param.detach().clone())
        state['grad'] = param.grad
        return 0.1 * param.grad + (state['now'] - before) * 0.1


class InGroups(Stateful):
    """Its state is in its groups, as GrokAdamW's."""

    def step_of(self, param, state):
        (group,) = self.param_groups
        kept = group.setdefault('kept', {}).setdefault(param, dict(step=0))
        kept['step'] += 1
        kept['grad'] = kept.get('grad', 0) * 0.9 + param.grad
        return 0.1 * kept['grad'] / kept['step']


class OfItsGroup(Stateful):
    """Its state has the group in it, as optimi's that step in backward."""

    def step_of(self, param, state):
        (group,) = self.param_groups
        group['count'] = group.get('count', 0) + 1
        known = state.setdefault('known', dict(group=group))
        return 0.1 * param.grad / known['group']['count']


class HoldsGroups(Stateful):
    """Groups in a list, in a state of no parameter, and in attributes."""

    def __init__(self, params, lr=0.1):
        super().__init__(params, lr)
        self.groups = self.param_groups

    def step_of(self, param, state):
        (group,) = self.param_groups
        group['count'] = group.get('count', 0) + 1
        state.setdefault('known', [group])
        of_all = self.state.setdefault('all', dict(group=group))
        self.one = group
        counts = [
            x['count']
            for x in (
                *state['known'],
                of_all['group'],
                *self.groups,
                self.one,
            )
        ]
        assert len(set(counts)) == 1
        return 0.1 * param.grad / counts[0]


class AroundItsGroup(Around):
    """One inside has a group in its state."""

    def __init__(self, params, lr=0.1):
        super().__init__(params, lr)
        self.inner = OfItsGroup(self.param_groups, lr)
        self.param_groups = self.inner.param_groups


class SavesTheInner(Around):
    """Its state is that of the one inside, as heavyball's SAMWrapper's."""

    def state_dict(self):
        return dict(wrapped=self.inner.state_dict())

    def load_state_dict(self, state_dict):
        self.inner.load_state_dict(state_dict['wrapped'])


class Function(Stateful):
    def step_of(self, param, state):
        state['rule'] = state.get('rule', lambda x: 0.1 * x)
        return state['rule'](param.grad)


def projection(param):
    return param


class Setting(torch.optim.SGD):
    """A function among its settings."""

    def __init__(self, params, lr=0.1):
        super().__init__(params, lr)
        for group in self.param_groups:
            group['projection'] = projection

    def step(self, closure=None):
        for group in self.param_groups:
            assert group['projection'] is projection
        super().step()


def make(kind, seed=0, **kwargs):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    optimizer = kind(model.parameters(), lr=0.1)
    return model, AmpOptimWrapper(optimizer, dtype='float32', **kwargs)


def train(model, wrapper, steps, start=0):
    for i in range(start, start + steps):
        inputs = torch.randn(4, 3, generator=torch.Generator().manual_seed(i))
        with wrapper.optim_context(model):
            loss = (model(inputs) - 1).square().mean()
        wrapper.update_params(loss)


def saved(*states):
    file = io.BytesIO()
    torch.save(states, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


KINDS = [
    *(Delayed, Projected, Counting, Small, Around, Setting, Drawing),
    *(SavesTheInner, Remembering, AroundProjected, OfTheWeights),
    *(DrawingOtherwise, OfItsState, HoldsAPlace),
    InGroups,
    OfItsGroup,
    HoldsGroups,
    AroundItsGroup,
]


@pytest.mark.parametrize('kind', KINDS)
def test_a_run_goes_on_exactly(kind):
    model, wrapper = make(kind)
    train(model, wrapper, 5)
    weights, state = saved(model.state_dict(), wrapper.state_dict())
    train(model, wrapper, 5, 5)
    other, resumed = make(kind, seed=1)
    other.load_state_dict(weights)
    resumed.load_state_dict(state)
    train(other, resumed, 5, 5)
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)


def test_a_state_that_is_the_weight_in_memory_of_several():
    """Parameters of one flat buffer."""
    model, wrapper = make(OfTheWeights)
    weights = [p.detach() for p in model.parameters()]
    flat = torch.cat([x.flatten() for x in weights])
    parts = flat.split([x.numel() for x in weights])
    for param, part in zip(model.parameters(), parts, strict=True):
        param.data = part.view_as(param)
    train(model, wrapper, 2)
    (state,) = saved(wrapper.state_dict())
    wrapper.load_state_dict(state)
    for param, kept in wrapper.optimizer.state.items():
        assert kept['now'].data_ptr() == param.data_ptr()


class Flat(Stateful):
    """Its states are parts of what an attribute holds."""

    def __init__(self, params, lr=0.1, counts=True):
        super().__init__(params, lr)
        self.counts = counts

    def step_of(self, param, state):
        if 'm' not in state:
            self.flat = [torch.zeros(2, param.numel())]
            state['m'] = self.flat[0][0]
        if self.counts:
            self.flat.append(len(self.flat))
        return 0.1 * param.grad


@pytest.mark.parametrize('counts', [False, True])
def test_memory_of_the_state_beside_other_things(mm_log, counts):
    """What is told; a cache of nothing else is made again."""
    model, wrapper = make(partial(Flat, counts=counts))
    train(model, wrapper, 1)
    text = 'optimizer.flat (memory of the state beside other things)'
    assert (text in mm_log(logging.WARNING)) is counts


@pytest.mark.parametrize('kind', [Around, SavesTheInner])
def test_schedules_reach_the_one_inside(kind):
    model, wrapper = make(kind)
    train(model, wrapper, 2)
    wrapper.optimizer.param_groups[0]['lr'] = 0.05
    (state,) = saved(wrapper.state_dict())
    _, resumed = make(kind)
    resumed.load_state_dict(state)
    assert resumed.optimizer.inner.param_groups[0]['lr'] == 0.05
    resumed.optimizer.param_groups[0]['lr'] = 0.01
    assert resumed.optimizer.inner.param_groups[0]['lr'] == 0.01


def test_dtypes_are_those_that_the_optimizer_has_chosen():
    model, wrapper = make(Small)
    train(model, wrapper, 1)
    before = wrapper.optimizer.dtypes()
    (state,) = saved(wrapper.state_dict())
    _, resumed = make(Small)
    resumed.load_state_dict(state)
    assert resumed.optimizer.dtypes() == before
    assert before['last'] is torch.bfloat16


def test_what_no_checkpoint_holds_is_told_at_once(mm_log):
    model, wrapper = make(Function)
    train(model, wrapper, 1)
    text = mm_log(logging.WARNING)
    assert 'Function keeps in its state' in text
    assert "['rule'] (builtins.function)" in text
    state, weights = saved(wrapper.state_dict(), model.state_dict())
    other, resumed = make(Function, seed=1)
    resumed.load_state_dict(state)
    other.load_state_dict(weights)
    train(other, resumed, 1)


def test_or_is_an_error():
    model, wrapper = make(Function, unsaved_state='error')
    with pytest.raises(UsageError, match=r'Function keeps.*rule'):
        train(model, wrapper, 1)


def test_unsaved_state_is_one_of_two():
    with pytest.raises(ValueError, match=r"'warn' or 'error'.*'ignore'"):
        make(Counting, unsaved_state='ignore')


class Apart:
    """Of a package that is not the optimizer's."""

    __module__ = 'elsewhere'

    def __init__(self):
        self.value = 0.1


class Hiding(Stateful):
    """Keeps in an attribute what no checkpoint can hold."""

    def __init__(self, params, lr=0.1):
        super().__init__(params, lr)
        self.settings, self.helper = Apart(), Apart()

    def step_of(self, param, state):
        self.helper.value *= 0.9
        self.history = [*getattr(self, 'history', []), self.helper]
        return self.helper.value * param.grad


def test_what_is_hidden_in_attributes_is_told_at_once(mm_log):
    model, wrapper = make(Hiding)
    train(model, wrapper, 1)
    text = mm_log(logging.WARNING)
    assert 'Hiding keeps in its state' in text
    assert 'optimizer.history[0] (elsewhere.Apart)' in text
    assert 'optimizer.helper (elsewhere.Apart)' in text
    assert 'settings' not in text
    assert 'history' not in str(saved(wrapper.state_dict()))
    model, wrapper = make(Hiding, unsaved_state='error')
    with pytest.raises(UsageError, match=r'Hiding keeps.*optimizer\.history'):
        train(model, wrapper, 1)


def test_settings_are_those_of_the_config():
    """An attribute that no step changes is not saved."""
    model, wrapper = make(Remembering)
    train(model, wrapper, 1)
    (kept,) = wrapper.state_dict()['optimizer_attributes'].values()
    assert not {'everyone', 'rules', 'state'} & set(kept)
    assert {'total', 'projector', '_count', 'slow', 'by_id'} <= set(kept)


def test_torchs_own_keep_nothing_apart():
    for kind in (torch.optim.Adam, torch.optim.NAdam):
        model, wrapper = make(kind)
        train(model, wrapper, 2)
        assert 'optimizer_attributes' not in wrapper.state_dict()


def test_an_attribute_stays_the_tensor_that_it_is():
    """Compiled code may hold it."""
    model, wrapper = make(Remembering)
    train(model, wrapper, 2)
    (state,) = saved(wrapper.state_dict())
    _, resumed = make(Remembering)
    total = resumed.optimizer.total
    resumed.load_state_dict(state)
    assert resumed.optimizer.total is total
    assert torch.equal(total, wrapper.optimizer.total)


def test_what_is_no_state_is_not_told_of():
    net = nn.Linear(2, 2)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    cls = type('Own', (torch.optim.SGD,), dict(__module__='somebody.optim'))
    optimizer = cls(net.parameters(), lr=0.1)
    optimizer.pattern, optimizer.steps = re.compile('a'), range(3)
    optimizer.path, optimizer.part = Path('a'), slice(3)
    optimizer.model = net
    wrapper = AmpOptimWrapper(optimizer, dtype='float32')
    wrapper.update_params(net(torch.ones(1, 2)).sum())
    assert wrapper._state.attributes.changed() == ({}, [])
