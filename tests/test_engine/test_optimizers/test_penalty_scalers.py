"""Which penalty a call of ``grad`` is for."""

import pytest
import torch
from torch import nn

from mmamp import AmpOptimWrapper
from mmamp.precision.penalty_names import named_penalty


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 32), nn.Softplus(), nn.Linear(32, 1))


def wrapped(*nets):
    params = [p for net in nets for p in net.parameters()]
    return AmpOptimWrapper(
        torch.optim.SGD(params, lr=0.0),
        dtype='float16',
        loss_scale=dict(init_scale=1024.0),
    )


def squared(wrapper, out, x):
    (g,) = wrapper.grad(out, x, create_graph=True)
    return g.square().sum(1).mean()


class OneLine:
    """One line for all of them, in a loop."""

    def __init__(self):
        self.net = network()
        self.wrapper = wrapped(self.net)
        self.sizes = dict(lazy=1e-2, always=1e4)

    def penalties(self, names):
        for name in names:
            x = torch.ones(2, 4).requires_grad_()
            out = self.net(x).sum() * self.sizes[name]
            yield squared(self.wrapper, out, x)


class TwoLines(OneLine):
    """A function for each, whose factors the graph does not show."""

    def penalties(self, names):
        for name in names:
            yield getattr(self, name)()

    def lazy(self):
        x = torch.ones(2, 4).requires_grad_()
        return squared(
            self.wrapper, (self.net(x) * torch.full((1,), 1e-2)).sum(), x
        )

    def always(self):
        x = torch.ones(2, 4).requires_grad_()
        return squared(
            self.wrapper, (self.net(x) * torch.full((1,), 1e4)).sum(), x
        )


class Penalty(nn.Module):
    def __init__(self, net, wrapper):
        super().__init__()
        self.net = net
        self.grad = wrapper.grad

    def forward(self, size):
        x = torch.ones(2, 4).requires_grad_()
        out = (self.net(x) * torch.full((1,), size)).sum()
        (g,) = self.grad(out, x, create_graph=True)
        return g.square().sum(1).mean()


class TwoCalls(OneLine):
    """Of a module, behind whose call torch has functions of its own."""

    def __init__(self):
        super().__init__()
        self.penalty = Penalty(self.net, self.wrapper)

    def penalties(self, names):
        for name in names:
            if name == 'lazy':
                yield self.penalty(1e-2)
            else:
                yield self.penalty(1e4)


class TwoNames(OneLine):
    """One line for both, which says which it is."""

    def __init__(self):
        super().__init__()
        self.penalty = Penalty(self.net, self.wrapper)

    def penalties(self, names):
        for name in names:
            with named_penalty(name):
                yield self.penalty(self.sizes[name])


class TwoNetworks(OneLine):
    """One line, and a network for each."""

    def __init__(self):
        nets = dict(lazy=network(1), always=network(2))
        with torch.no_grad():
            nets['lazy'][2].weight.mul_(1e-2)
            nets['always'][2].weight.mul_(1e4)
        self.nets = nets
        self.wrapper = wrapped(*nets.values())
        self.net = nn.ModuleList(nets.values())

    def penalties(self, names):
        for name in names:
            x = torch.ones(2, 4).requires_grad_()
            yield squared(self.wrapper, self.nets[name](x).sum(), x)


def scales(wrapper):
    return [
        (state['cotangent'], state['tangent'])
        for state in wrapper.state_dict()['penalty_scalers']
    ]


def train(loop, order, iterations, interval=4, begin=0):
    for iteration in range(begin, begin + iterations):
        due = [x for x in order if x != 'lazy' or iteration % interval == 0]
        with loop.wrapper.optim_context(loop.net):
            loss = sum(loop.penalties(due))
        loop.wrapper.update_params(loss)


@pytest.mark.parametrize(
    'loop', [OneLine, TwoLines, TwoCalls, TwoNames, TwoNetworks]
)
def test_a_lazy_penalty_changes_no_others_scales(loop):
    first, last = loop(), loop()
    train(first, ('lazy', 'always'), 24)
    train(last, ('always', 'lazy'), 24)
    assert first.wrapper.skipped_steps == last.wrapper.skipped_steps
    assert sorted(scales(first.wrapper)) == sorted(scales(last.wrapper))
    assert len(scales(first.wrapper)) == 2


def test_each_has_its_scales_again_after_resuming():
    """Also where the first that is due is not the first that was."""
    whole, rest = OneLine(), OneLine()
    order = ('lazy', 'always')
    train(whole, order, 6)
    state = whole.wrapper.state_dict()
    train(whole, order, 6, begin=6)
    rest.wrapper.load_state_dict(state)
    train(rest, order, 6, begin=6)
    assert scales(rest.wrapper) == scales(whole.wrapper)
    assert rest.wrapper.skipped_steps == whole.wrapper.skipped_steps


def update(wrapper, net, penalties):
    """With as many that are the same."""
    with wrapper.optim_context(net):
        loss = 0.0
        for _ in range(penalties):
            x = torch.ones(2, 4).requires_grad_()
            loss = loss + squared(wrapper, net(x).sum(), x)
    wrapper.update_params(loss)


def test_calls_that_agree_are_told_by_their_order():
    net = network()
    wrapper = wrapped(net)
    for _ in range(3):
        update(wrapper, net, 2)
    assert len(scales(wrapper)) == 2


def test_a_weight_that_grows_slowly_is_the_same_penalty():
    loop = OneLine()
    for iteration in range(50):
        loop.sizes['always'] = 2 + iteration / 100
        train(loop, ('always',), 1)
    assert len(scales(loop.wrapper)) == 1


def test_states_that_tell_them_by_order_alone():
    """As those of checkpoints from before they were named."""
    old, new = OneLine(), OneLine()
    train(old, ('lazy', 'always'), 5)
    state = old.wrapper.state_dict()
    for pair in state['penalty_scalers']:
        del pair['penalty']
    new.wrapper.load_state_dict(state)
    assert scales(new.wrapper) == scales(old.wrapper)
    for loop in (old, new):
        train(loop, ('lazy', 'always'), 4, interval=1, begin=8)
    assert scales(new.wrapper) == scales(old.wrapper)


def test_more_than_there_is_room_for_share_the_last():
    net = network()
    wrapper = wrapped(net)
    update(wrapper, net, 20)
    assert len(scales(wrapper)) == 16


def test_another_takes_the_place_of_what_is_used_no_more():
    net = network()
    wrapper = wrapped(net)
    update(wrapper, net, 16)
    update(wrapper, net, 14)
    state = wrapper.state_dict()
    wrapper = wrapped(net)
    wrapper.load_state_dict(state)
    before = [x['penalty'] for x in state['penalty_scalers']]
    with wrapper.optim_context(net):
        x = torch.ones(2, 4).requires_grad_()
        loss = squared(wrapper, net(x).sum() * 3, x)
        loss = loss + squared(wrapper, net(x).sum() * 1e-3, x)
    wrapper.update_params(loss)
    after = [x['penalty'] for x in wrapper.state_dict()['penalty_scalers']]
    assert after[:14] == before[2:]
    assert len({*after[14:]} - {*before}) == 2


def test_a_graph_that_is_freed_in_part():
    """What was multiplied is gone; the gradient does not need it."""
    net = network()
    wrapper = wrapped(net)
    with wrapper.optim_context(net):
        factor = (net.get_parameter('2.bias') * torch.tensor(3.0)).sum()
        factor.backward()
        x = torch.ones(2, 4).requires_grad_()
        (g,) = wrapper.grad(net(x).sum() + factor, x, create_graph=True)
    assert torch.isfinite(g).all()
