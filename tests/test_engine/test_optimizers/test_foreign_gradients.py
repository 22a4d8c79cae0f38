"""One loss that several optimizers are trained by."""

import copy
import logging

import pytest
import torch
from torch import nn

from mmamp import AmpOptimWrapper
from mmamp.errors import UsageError

UNSCALED = 'are taken as unscaled'
X = torch.randn(4, 8, generator=torch.Generator().manual_seed(1))


def make_net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))


def optimizers(net):
    return [
        torch.optim.SGD(part.parameters(), lr=0.1) for part in (net[0], net[2])
    ]


def build(net, shared=True, counts=(1, 1), dtypes=('float16', 'float16')):
    wrappers = [
        AmpOptimWrapper(
            optimizer,
            dtype=dtype,
            loss_scale=dict(init_scale=1024.0),
            loss_scaler='shared' if shared else None,
            accumulative_counts=count,
        )
        for optimizer, count, dtype in zip(
            optimizers(net), counts, dtypes, strict=True
        )
    ]
    for wrapper, name in zip(wrappers, ('body', 'head'), strict=True):
        wrapper.name = name
    if shared:
        wrappers[0].share_scaler(wrappers[1:])
    return wrappers


def loss_of(net, wrapper, x=X):
    with wrapper.optim_context(net):
        return net(x).float().square().mean()


def by_hand(net, xs=(X,)):
    """The same with one torch.amp.GradScaler."""
    both = optimizers(net)
    scaler = torch.amp.GradScaler('cpu', init_scale=1024.0)
    for x in xs:
        with torch.autocast('cpu', torch.float16):
            loss = net(x).float().square().mean()
        scaler.scale(loss).backward()
        for optimizer in both:
            scaler.step(optimizer)
        scaler.update()
        for optimizer in both:
            optimizer.zero_grad()
    return net


def assert_equal(net, expected):
    for p, q in zip(net.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(p, q)


class TestShared:
    def test_all_step_at_the_scale_of_one_backward_pass(self, mm_log):
        net = make_net()
        body, head = build(net)
        xs = [X, X * float('inf'), X * 0.5]
        for x in xs:
            body.backward(loss_of(net, body, x))
            for wrapper in (body, head):
                wrapper.step()
                wrapper.zero_grad()
        assert_equal(net, by_hand(make_net(), xs))
        assert body.skipped_steps == head.skipped_steps == 1
        assert body.loss_scaler.get_scale() == 512
        assert UNSCALED not in mm_log(logging.WARNING)

    def test_beside_gradients_of_its_own(self):
        net, expected = make_net(), make_net()
        body, head = build(net)
        body.backward(loss_of(net, body))
        head.backward(loss_of(net, head, X * 0.5))
        body.step()
        head.step()
        for x in (X, X * 0.5):
            with torch.autocast('cpu', torch.float16):
                loss = expected(x).float().square().mean()
            loss.mul(1024).backward()
        for param in expected.parameters():
            param.data -= 0.1 * param.grad / 1024
        assert_equal(net, expected)

    def test_a_scale_that_fell_meanwhile(self):
        """Gradients of the head that are there keep theirs."""
        net = make_net()
        body, head = build(net, counts=(1, 2))
        head.initialize_count_status(net, 0, 100)
        body.backward(loss_of(net, body))
        net[0].weight.grad.fill_(float('inf'))
        body.step()
        body.zero_grad()
        assert body.loss_scaler.get_scale() == 512
        body.backward(loss_of(net, body))
        before = net[2].weight.detach().clone()
        gradient = net[2].weight.grad / 1024
        head.step()
        torch.testing.assert_close(net[2].weight, before - 0.1 * gradient)

    def test_clipped_by_hand(self):
        net = make_net()
        body, head = build(net)
        body.backward(loss_of(net, body))
        nn.utils.clip_grad_value_(net.parameters(), 1.0)
        body.step()
        head.step()
        assert float(head.record.norm) < 0.1

    def test_of_a_copy(self):
        net = make_net()
        net, (body, head) = copy.deepcopy((net, build(net)))
        body.backward(loss_of(net, body))
        body.step()
        head.step()
        assert_equal(net, by_hand(make_net()))


class TestSeparate:
    @pytest.mark.parametrize('order', ['body', 'body head', 'head body'])
    @pytest.mark.parametrize(
        'dtypes',
        [
            ('float16', 'float16'),
            ('float16', 'bfloat16'),
            ('bfloat16', 'float16'),
        ],
    )
    def test_a_step_at_another_scale_is_an_error(self, order, dtypes):
        net = make_net()
        wrappers = dict(
            zip(
                ('body', 'head'),
                build(net, shared=False, dtypes=dtypes),
                strict=True,
            )
        )
        if order == 'body' and dtypes[0] != 'float16':
            return  # at no scale: as by hand
        for name in order.split():
            wrappers[name].backward(loss_of(net, wrappers[name]))
        before = copy.deepcopy(net[2].state_dict())
        with pytest.raises(UsageError, match="'head'.*'body'.*'shared'"):
            wrappers['head'].step()
        for name, value in net[2].state_dict().items():
            assert torch.equal(value, before[name])

    @pytest.mark.parametrize(
        'drop',
        [
            lambda head: head.zero_grad(),
            lambda head: head.zero_grad(set_to_none=False),
            lambda head: head.optimizer.zero_grad(),
            lambda head: head.optimizer.zero_grad(set_to_none=False),
        ],
    )
    def test_dropped_ones_are_nobodys(self, drop):
        net, expected = make_net(), make_net()
        body, head = build(net, shared=False)
        body.backward(loss_of(net, body))
        drop(head)
        for _ in range(2):
            head.backward(loss_of(net, head) / 2)
        head.step()
        with torch.autocast('cpu', torch.float16):
            loss = expected(X).float().square().mean()
        loss.mul(1024).backward()
        for param in expected[2].parameters():
            param.data -= 0.1 * param.grad / 1024
        assert_equal(net[2], expected[2])

    def test_unscaled_by_hand(self):
        net = make_net()
        body, head = build(net, shared=False)
        body.backward(loss_of(net, body))
        body.loss_scaler.unscale_(head.optimizer)
        head.step()
        assert_equal(net[2], by_hand(make_net())[2])


@pytest.mark.parametrize('shared', [True, False])
def test_made_by_hand_they_are_unscaled(shared, mm_log):
    """After others that were dropped, too."""
    net = make_net()
    body, head = build(net, shared)
    for i in range(2):
        if i:
            body.backward(loss_of(net, body))
            head.optimizer.zero_grad()
        before = net[2].weight.detach().clone()
        loss_of(net, head).backward()
        gradient = net[2].weight.grad.clone()
        head.step()
        assert torch.equal(net[2].weight, before - 0.1 * gradient)
        head.zero_grad()
        body.zero_grad()
    assert mm_log(logging.WARNING).count(UNSCALED) == 1
