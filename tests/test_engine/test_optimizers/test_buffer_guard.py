import copy

import pytest
import torch
from mmengine.model import ExponentialMovingAverage
from torch import nn

from mmamp.engine.optimizers.buffer_guard import BufferGuard

NAN = float('nan')


def backward(guard, loss):
    """As a wrapper's, without the pass itself."""
    with guard.backward(loss):
        pass


def make_net():
    net = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 3), nn.BatchNorm1d(3))
    net.register_buffer('scratch', torch.zeros(2), persistent=False)
    net.register_buffer('absent', None)
    return net


def guard_of(*nets):
    guard = BufferGuard()
    for net in nets:
        guard.watch(net)
    return guard


def run(guard, net, x):
    with guard.forward():
        return net(x).sum()


def state_of(net):
    return copy.deepcopy(net.state_dict())


def assert_same(net, expected):
    for key, value in net.state_dict().items():
        assert torch.equal(value, expected[key]), key


@pytest.mark.parametrize('skipped', [None, True])
def test_puts_persistent_buffers_back(skipped):
    net = make_net()
    guard, before = guard_of(net), state_of(net)
    backward(guard, run(guard, net, torch.randn(4, 3) * NAN))
    net.scratch.fill_(1)
    guard.restore(None if skipped is None else torch.tensor(skipped))
    assert_same(net, before)
    assert net.scratch.tolist() == [1, 1]


def test_the_device_decides():
    net = make_net()
    guard = guard_of(net)
    run(guard, net, torch.randn(4, 3))
    after = state_of(net)
    guard.restore(torch.tensor(False))
    assert_same(net, after)


def test_what_forward_passes_did_not_change_stays():
    """Be it of the same module, and in between."""
    net = make_net()
    guard = guard_of(net)
    with torch.no_grad():
        run(guard, net[0], torch.randn(4, 3))
    net[2].running_mean.fill_(7)
    guard.restore()
    assert net[0].num_batches_tracked == 0
    assert net[2].running_mean.tolist() == [7, 7, 7]


def test_parameters_are_not_touched():
    net = make_net()
    guard = guard_of(net)
    run(guard, net, torch.randn(4, 3))
    with torch.no_grad():
        net[1].weight.fill_(3)
    guard.restore()
    assert (net[1].weight == 3).all()


class TestWindows:
    def test_of_several_micro_batches(self):
        net = make_net()
        guard, before = guard_of(net), state_of(net)
        for factor in (1, NAN, 1):
            backward(guard, run(guard, net, torch.randn(4, 3) * factor))
        guard.restore()
        assert_same(net, before)

    def test_one_after_another(self):
        net = make_net()
        guard = guard_of(net)
        backward(guard, run(guard, net, torch.randn(4, 3)))
        guard.accept()
        before = state_of(net)
        backward(guard, run(guard, net, torch.randn(4, 3) * NAN))
        guard.restore()
        assert_same(net, before)

    def test_two_losses_of_one_backward_pass(self):
        net = make_net()
        guard, before = guard_of(net), state_of(net)
        losses = [run(guard, net, torch.randn(4, 3)) for _ in range(2)]
        backward(guard, sum(losses))
        guard.restore()
        assert_same(net, before)

    def test_two_networks_one_after_another(self):
        """As a generator and the discriminator that judges it."""
        nets = make_net(), make_net()
        guard = guard_of(*nets)
        before = [state_of(net) for net in nets]
        with guard.forward():
            fake = nets[0](torch.randn(4, 3))
        with guard.forward():
            loss = nets[1](fake).sum()
        backward(guard, loss)
        guard.restore()
        for net, state in zip(nets, before, strict=True):
            assert_same(net, state)

    def test_a_pass_for_nothing_is_no_part_of_it(self):
        """The generator runs in each iteration, and is stepped in the last."""
        net = make_net()
        guard = guard_of(net)
        for _ in range(20):
            before = state_of(net)
            loss = run(guard, net, torch.randn(4, 3))
        backward(guard, loss)
        guard.restore()
        assert_same(net, before)

    def test_a_pass_for_nothing_inside_of_it_stays(self):
        net = make_net()
        guard = guard_of(net)
        backward(guard, run(guard, net, torch.randn(4, 3)))
        run(guard, net, torch.randn(4, 3))
        backward(guard, run(guard, net, torch.randn(4, 3)))
        guard.restore()
        assert net[0].num_batches_tracked == 1

    def test_so_many_wait_for_a_backward_pass(self):
        net = make_net()
        guard = guard_of(net)
        losses = [
            run(guard, net, torch.randn(4, 3))
            for _ in range(guard.MOST_WAITING + 3)
        ]
        backward(guard, sum(losses))
        guard.restore()
        assert net[0].num_batches_tracked == 3

    def test_a_pass_for_nothing_leaves_nothing_that_is_not_finite(self):
        net = make_net()
        guard = guard_of(net)
        run(guard, net, torch.randn(4, 3))
        run(guard, net, torch.randn(4, 3) * NAN)
        backward(guard, run(guard, net, torch.randn(4, 3)))
        guard.restore()
        for value in net.state_dict().values():
            assert value.isfinite().all()

    def test_steps_inside_of_a_forward_pass(self):
        net = make_net()
        guard = guard_of(net)
        with guard.forward():
            backward(guard, net(torch.randn(4, 3)).sum())
            guard.accept()
            before = state_of(net)
            backward(guard, net(torch.randn(4, 3) * NAN).sum())
            guard.restore()
            assert_same(net, before)
            backward(guard, net(torch.randn(4, 3) * NAN).sum())
            guard.restore()
        assert_same(net, before)

    def test_dropped(self):
        """Finite values stay; there was nothing to judge."""
        net = make_net()
        guard, before = guard_of(net), state_of(net)
        backward(guard, run(guard, net, torch.randn(4, 3) * NAN))
        guard.drop()
        assert torch.equal(net[0].running_mean, before['0.running_mean'])
        assert net[0].num_batches_tracked == 1
        backward(guard, run(guard, net, torch.randn(4, 3)))
        after = state_of(net)
        guard.drop()
        assert_same(net, after)


class TestInterleaved:
    """Windows of two optimizers over the same buffers."""

    @pytest.mark.parametrize('bad', [1, NAN])
    def test_the_others_batches_count(self, bad):
        net = make_net()
        mine, other = guard_of(net), guard_of(net)
        mine.backward(run(mine, net, torch.randn(4, 3) * bad))
        for _ in range(3):
            other.backward(run(other, net, torch.randn(4, 3)))
            other.accept()
        mine.backward(run(mine, net, torch.randn(4, 3)))
        mine.restore()
        assert net[0].num_batches_tracked == 3
        for value in net.state_dict().values():
            assert value.isfinite().all()

    def test_the_others_statistics_stay_but_for_the_momentum(self):
        net, alone = make_net()[0], make_net()[0]
        mine, other = guard_of(net), guard_of(net)
        data = torch.randn(6, 4, 3)
        mine.backward(run(mine, net, data[0]))
        for x in data[1:]:
            other.backward(run(other, net, x))
            other.accept()
            alone(x)
        mine.restore()
        # Mine, had it stayed, would weigh 0.1 at the beginning.
        error = (net.running_mean - alone.running_mean).abs().max()
        assert error <= 0.1 * data[0].mean(0).abs().max() * (1 - 0.9**5) + 1e-6

    def test_both_are_skipped(self):
        net = make_net()
        mine, other = guard_of(net), guard_of(net)
        before = state_of(net)
        mine.backward(run(mine, net, torch.randn(4, 3) * NAN))
        other.backward(run(other, net, torch.randn(4, 3)))
        mine.restore()
        other.restore()
        for key, value in net.state_dict().items():
            if not value.is_floating_point():
                assert torch.equal(value, before[key])
            assert value.isfinite().all()


class Scaled(nn.Module):
    """Its graph holds a buffer that each forward pass changes before."""

    def __init__(self):
        super().__init__()
        self.register_buffer('factor', torch.ones(3))

    def forward(self, x):
        self.factor.mul_(1.5)
        return x * self.factor


class TestGraphs:
    """That are held over a window, as a generator's over the other step."""

    @pytest.mark.parametrize('runs_it', [False, True])
    @pytest.mark.parametrize(
        'end',
        [
            BufferGuard.accept,
            BufferGuard.restore,
            lambda guard: guard.restore(torch.tensor(True)),
            lambda guard: guard.restore(torch.tensor(False)),
            BufferGuard.drop,
        ],
    )
    def test_are_whole_where_it_changed_nothing_that_counts(
        self, end, runs_it
    ):
        nets = [make_net() for _ in range(2)]
        heads = [Scaled() for _ in range(2)]
        guards = [guard_of(*nets, *heads) for _ in range(2)]
        for _ in range(2):
            with guards[0].forward():
                held = heads[0](nets[0](torch.randn(4, 3))).square().sum()
            expected = state_of(heads[0])
            with guards[1].forward():
                if runs_it:
                    with torch.no_grad():
                        nets[0](torch.randn(4, 3))
                loss = heads[1](nets[1](torch.randn(4, 3))).sum()
            backward(guards[1], loss)
            loss.backward()
            end(guards[1])
            backward(guards[0], held)
            held.backward()
            assert_same(heads[0], expected)
            guards[0].accept()

    @pytest.mark.parametrize('skipped', [None, True])
    def test_are_spent_where_it_is_undone(self, skipped):
        net = Scaled()
        guard = guard_of(net)
        loss = run(guard, net, torch.randn(4, 3, requires_grad=True))
        guard.restore(None if skipped is None else torch.tensor(skipped))
        assert net.factor.tolist() == [1, 1, 1]
        with pytest.raises(RuntimeError, match='inplace operation'):
            loss.backward()


class TestKindsOfBuffers:
    def check(self, make, spoil, skipped=None):
        """A window that spoils a buffer is as if it had never been."""
        module = make()
        guard, before = guard_of(module), make()
        with guard.forward():
            loss = spoil(module)
        backward(guard, loss)
        guard.restore(skipped)
        return module, before

    @pytest.mark.parametrize('skipped', [None, torch.tensor(True)])
    def test_one_that_grows_keeps_nobody_else_from_it(self, skipped):
        class Bank(nn.BatchNorm1d):
            def __init__(self):
                super().__init__(2)
                self.register_buffer('bank', torch.zeros(0))

        def spoil(module):
            module.bank = torch.cat([module.bank, torch.tensor([NAN])])
            return module(torch.full((4, 2), NAN)).sum()

        module, before = self.check(Bank, spoil, skipped)
        assert_same(module, before.state_dict())

    @pytest.mark.parametrize('skipped', [None, torch.tensor(True)])
    def test_lazy_ones(self, skipped):
        module, _ = self.check(
            nn.LazyBatchNorm1d,
            lambda m: m(torch.full((4, 2), NAN)).sum(),
            skipped,
        )
        assert_same(module, nn.BatchNorm1d(2).state_dict())

    def test_made_in_the_forward_pass(self):
        class Late(nn.Module):
            is_new = True

            def forward(self, x):
                if self.is_new:
                    self.register_buffer('mean', torch.zeros(2))
                    self.is_new = False
                self.mean.add_(x.mean(0))
                return x.sum()

        module, _ = self.check(Late, lambda m: m(torch.full((4, 2), NAN)))
        assert module.mean.tolist() == [0, 0]
        module(torch.ones(4, 2))  # does not make it again
        assert module.mean.tolist() == [1, 1]

    def test_made_of_what_is_not_finite(self):
        class First(nn.Module):
            def __init__(self):
                super().__init__()
                self.register_buffer('mean', None)

            def forward(self, x):
                if self.mean is None:
                    self.mean = x.mean(0)
                return (x - self.mean).sum()

        module, _ = self.check(First, lambda m: m(torch.full((4, 2), NAN)))
        assert module.mean is None

    def test_one_that_is_replaced_is_not_written_over(self):
        """Somebody else may hold what is there now."""
        now = torch.full((3,), 9.0)

        def spoil(module):
            module.running_mean = now
            return now.sum()

        module, before = self.check(lambda: nn.BatchNorm1d(3), spoil)
        assert_same(module, before.state_dict())
        assert now.tolist() == [9, 9, 9]

    @pytest.mark.parametrize(
        'make',
        [
            lambda: torch.zeros(1).expand(3),
            lambda: torch.zeros(4, 6)[:, 1:3],
            lambda: torch.zeros(2, 3, 4, 5).to(
                memory_format=torch.channels_last
            ),
            lambda: torch.zeros(6).as_strided((3, 2), (1, 1)),
            lambda: torch.zeros(2, dtype=torch.complex64),
            lambda: torch.zeros(2, dtype=torch.bool),
            lambda: torch.zeros(0),
            lambda: torch.zeros(()),
            lambda: torch.zeros(3, 3).to_sparse(),
        ],
        ids=[
            *('expanded', 'part', 'channels_last', 'overlapping', 'complex'),
            *('bool', 'nothing', 'scalar', 'sparse'),
        ],
    )
    @pytest.mark.parametrize('skipped', [True, False])
    def test_of_any_layout(self, make, skipped):
        class Own(nn.Module):
            def __init__(self):
                super().__init__()
                self.register_buffer('values', make())

        def spoil(module):
            values = module.values
            if values.is_sparse:
                module.values = torch.ones(3, 3).to_sparse()
            elif values.numel() and values.stride()[:1] in ((0,), (1,)):
                values.as_strided((1,), (1,)).fill_(1)
            else:
                values.fill_(1)
            return torch.zeros(())

        module, before = self.check(Own, spoil, torch.tensor(skipped))
        values, expected = module.values, before.values
        if values.is_sparse:
            values, expected = values.to_dense(), expected.to_dense()
        assert torch.equal(values, expected) == (
            skipped or not expected.numel()
        )

    def test_of_a_subclass(self):
        class Mine(torch.Tensor):
            pass

        class Own(nn.Module):
            def __init__(self):
                super().__init__()
                self.register_buffer('x', torch.zeros(2).as_subclass(Mine))

        def spoil(module):
            module.x.add_(NAN)
            return torch.zeros(())

        module, _ = self.check(Own, spoil)
        assert module.x.tolist() == [0, 0]
        assert type(module.x) is Mine


def test_a_module_that_comes_later():
    net = nn.Sequential(nn.BatchNorm1d(3))
    guard = guard_of(net)
    run(guard, net, torch.randn(4, 3))
    guard.accept()
    net.append(nn.BatchNorm1d(3))
    before = state_of(net)
    run(guard, net, torch.full((4, 3), NAN))
    guard.restore()
    assert_same(net, before)


def test_shared_modules_count_once():
    shared = make_net()
    guard = guard_of(shared)
    assert not guard.watch(shared)
    assert guard.watch(nn.ModuleList([shared, shared]))
    run(guard, shared, torch.randn(4, 3))
    (floats, ints) = guard.state()['before']
    assert len(floats) == 2 * 2 * 3
    assert len(ints) == 2


def test_nothing_is_copied_without_buffers():
    guard = guard_of(nn.Linear(2, 2))
    with guard.forward():
        pass
    assert guard.state() == dict(before=[], after=[], rebuilt={})


def test_modules_that_look_after_themselves():
    class Pool(nn.Module):
        keeps_itself_finite = True

        def __init__(self):
            super().__init__()
            self.register_buffer('images', torch.zeros(0))

    model = nn.ModuleList([nn.BatchNorm1d(2), Pool()])
    guard = guard_of(model)
    with guard.forward():
        model[0](torch.full((4, 2), float('inf')))
        model[1].images = torch.ones(3)
    guard.restore()
    assert torch.equal(model[0].running_mean, torch.zeros(2))
    assert torch.equal(model[1].images, torch.ones(3))


def test_averages_are_left_alone():
    model = nn.Module()
    model.net = nn.BatchNorm1d(2)
    model.average = ExponentialMovingAverage(model.net)
    guard = guard_of(model)
    with guard.forward():
        pass
    floats, _ = guard.state()['before']
    assert len(floats) == 4


class TestOthers:
    """Who uses the model while a window is open."""

    def test_see_what_the_last_step_left(self):
        net = make_net()
        guard, before = guard_of(net), state_of(net)
        backward(guard, run(guard, net, torch.randn(4, 3) * NAN))
        during = state_of(net)
        with guard.judged():
            assert_same(net, before)
        for key, value in net.state_dict().items():
            torch.testing.assert_close(value, during[key], equal_nan=True)
        guard.restore()
        assert_same(net, before)

    def test_see_it_of_two_windows(self):
        net = make_net()
        mine, other = guard_of(net), guard_of(net)
        mine.backward(run(mine, net, torch.randn(4, 3)))
        other.backward(run(other, net, torch.randn(4, 3)))
        with mine.judged(), other.judged():
            assert net[0].num_batches_tracked == 0
            torch.testing.assert_close(net[0].running_mean, torch.zeros(3))
        assert net[0].num_batches_tracked == 2

    def test_who_never_comes_back_has_nothing_put_back(self):
        net = make_net()
        guard = guard_of(net)
        backward(guard, run(guard, net, torch.randn(4, 3)))
        judging = guard.judged()
        judging.__enter__()
        net[0].running_mean.fill_(7)  # as if loaded
        del judging
        assert net[0].running_mean.tolist() == [7, 7, 7]

    @pytest.mark.parametrize('saves', ['during', 'judged'])
    def test_go_on_from_a_state(self, saves):
        """Whatever the model was saved as."""
        net, other = make_net(), make_net()
        guard, before = guard_of(net), state_of(net)
        backward(guard, run(guard, net, torch.randn(4, 3)))
        during, state = state_of(net), copy.deepcopy(guard.state())
        other.load_state_dict(dict(during=during, judged=before)[saves])
        resumed = guard_of(other)
        resumed.load_state(state)
        assert_same(other, during)
        resumed.restore()
        assert_same(other, before)

    def test_a_state_is_left_as_it_is(self):
        """What goes back into the model is a copy of what it holds."""

        class Seen(nn.Module):
            def __init__(self):
                super().__init__()
                self.register_buffer('seen', torch.eye(2).to_sparse())

            def forward(self, x):
                self.seen = self.seen * 2
                return x.sum()

        net, other = Seen(), Seen()
        guard, resumed = guard_of(net), guard_of(other)
        run(guard, net, torch.ones(1, 2, requires_grad=True))
        state = guard.state()
        resumed.load_state(state)
        resumed.restore()
        assert torch.equal(other.seen.to_dense(), torch.eye(2))
        other.seen.mul_(5)
        (saved,) = state['rebuilt'].values()
        assert torch.equal(saved.to_dense(), torch.eye(2))

    def test_go_on_from_an_old_state(self):
        """A list: what the buffers were, beside a model of the moment."""
        net, other = make_net(), make_net()
        guard, before = guard_of(net), state_of(net)
        run(guard, net, torch.randn(4, 3))
        other.load_state_dict(net.state_dict())
        resumed = guard_of(other)
        resumed.load_state(guard.state()['before'])
        resumed.restore()
        assert_same(other, before)

    def test_see_it_however_often_they_ask(self):
        """A checkpoint that is saved inside of validation."""
        net = make_net()
        guard, before = guard_of(net), state_of(net)
        backward(guard, run(guard, net, torch.randn(4, 3)))
        during, expected = state_of(net), copy.deepcopy(guard.state())
        guard.keep_state()
        with guard.judged(), guard.judged():
            assert_same(net, before)
            inside = guard.state()
        for key in ('before', 'after'):
            for one, two in zip(inside[key], expected[key], strict=True):
                assert torch.equal(one, two)
        assert_same(net, during)


def test_what_starts_at_infinity_goes_back_to_it():
    class Observer(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer('least', torch.tensor(float('inf')))

        def forward(self, x):
            self.least = torch.minimum(self.least, x.min(0)[0])
            return x.sum()

    module = Observer()
    guard = guard_of(module)
    backward(guard, run(guard, module, torch.full((2, 3), NAN)))
    guard.restore()
    assert module.least.item() == float('inf')
    module(torch.ones(2, 3))


class TestLarge:
    """Buffers that are copied by themselves, and where they have changed."""

    def net(self):
        net = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 3))
        net.register_buffer('mask', torch.ones(2**16))
        net.register_buffer('queue', torch.zeros(2, 2**16))
        return net

    def run(self, guard, net, x, fill=None):
        with guard.forward():
            if fill is not None:
                with torch.no_grad():
                    net.queue[:, :8] = fill
            return net(x).sum()

    def copies(self, guard):
        dense = guard._layout_now().snapshot().dense
        return {
            name: copy
            for copy in dense
            for module, name in copy.slots
            if name in ('mask', 'queue')
        }

    def test_are_copied_where_they_have_changed(self):
        net = self.net()
        guard = guard_of(net)
        before = self.copies(guard)
        for skipped in (True, False):
            backward(guard, self.run(guard, net, torch.randn(4, 3)))
            guard.restore(torch.tensor(skipped))
        assert self.copies(guard)['mask'] is before['mask']
        backward(guard, self.run(guard, net, torch.randn(4, 3), fill=2.0))
        guard.accept()
        after = self.copies(guard)
        assert after['mask'] is before['mask']
        assert after['queue'] is not before['queue']
        assert after['queue'].values.sum() == 32

    @pytest.mark.parametrize('skipped', [None, True])
    def test_are_put_back(self, skipped):
        net = self.net()
        guard = guard_of(net)
        for i in range(3):
            backward(guard, self.run(guard, net, torch.randn(4, 3), fill=i))
            guard.restore(torch.tensor(False))
        before = state_of(net)
        for _ in range(2):
            x = torch.randn(4, 3) * NAN
            backward(guard, self.run(guard, net, x, fill=NAN))
            guard.restore(None if skipped is None else torch.tensor(skipped))
            assert_same(net, before)

    def test_of_what_another_guard_has_put_back(self):
        net = self.net()
        first, second = guard_of(net), guard_of(net)
        before = state_of(net)
        backward(first, self.run(first, net, torch.randn(4, 3), fill=1.0))
        first.restore()
        backward(second, self.run(second, net, torch.randn(4, 3), fill=2.0))
        second.restore()
        assert_same(net, before)
        backward(first, self.run(first, net, torch.randn(4, 3), fill=3.0))
        first.restore()
        assert_same(net, before)

    def test_go_on_from_a_state(self):
        nets = [self.net(), self.net()]
        nets[1].load_state_dict(nets[0].state_dict())
        guards = [guard_of(net) for net in nets]
        before = state_of(nets[0])
        x = torch.randn(4, 3)
        backward(guards[0], self.run(guards[0], nets[0], x, fill=5.0))
        guards[1].load_state(guards[0].state())
        assert_same(nets[1], nets[0].state_dict())
        for guard, net in zip(guards, nets, strict=True):
            guard.restore()
            assert_same(net, before)
