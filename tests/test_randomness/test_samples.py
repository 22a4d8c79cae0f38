import itertools

import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub

from mmamp.randomness import samples as latents
from mmamp.randomness.samples import SampleRandom, run_seed
from mmamp.randomness.splitmix import mixed


@pytest.fixture(autouse=True)
def nothing_drawn_yet():
    latents._ahead.cache_clear()


def set_seed(seed):
    MessageHub.get_current_instance().update_info('seed', seed)


def draw(*position, num=8, before=0):
    return SampleRandom('cpu', num, *position, before=before).normal(5)


class TestSeed:
    def test_of_the_run(self):
        set_seed(1234)
        assert run_seed() == 1234

    def test_of_torch_outside_of_a_run(self):
        torch.manual_seed(77)
        assert run_seed() == 77

    def test_zero_is_a_seed(self):
        torch.manual_seed(77)
        set_seed(0)
        assert run_seed() == 0


class TestNumbers:
    def test_are_a_function_of_the_position(self):
        set_seed(1)
        first = draw(0, 5)
        latents._ahead.cache_clear()
        torch.randn(100)
        torch.manual_seed(99)
        assert torch.equal(draw(0, 5), first)

    @pytest.mark.parametrize(
        'position', [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (0, 2)]
    )
    @pytest.mark.parametrize(
        'other', [(0, 3), (3, 0), (5, 5), (0, 10**6), (2, 2**31)]
    )
    def test_of_two_positions_differ(self, position, other):
        set_seed(1)
        assert not torch.equal(draw(*position), draw(*other))

    def test_of_two_seeds_differ(self):
        set_seed(1)
        first = draw(0, 0)
        set_seed(2)
        assert not torch.equal(draw(0, 0), first)

    def test_of_two_ranks_differ_where_mmengine_seeds_them_apart(
        self, as_rank
    ):
        """With ``diff_rank_seed`` rank 1 of seed 1 has seed 2."""
        drawn = []
        for rank in range(2):
            with as_rank(rank):
                set_seed(1 + rank)
                drawn += [draw(0, i) for i in range(4)]
        assert len({tuple(x.flatten().tolist()) for x in drawn}) == len(drawn)

    @pytest.mark.parametrize('world_size', [2, 4])
    def test_ranks_deal_out_those_of_one_process(self, as_rank, world_size):
        set_seed(1)
        whole = draw(0, 0, num=12)
        for rank in range(world_size):
            with as_rank(rank, world_size):
                mine = draw(0, 0, num=12 // world_size)
            assert torch.equal(mine, whole[rank::world_size])

    def test_micro_batches_are_parts_of_their_update(self):
        set_seed(1)
        parts = [draw(2, 7, num=3, before=3 * i) for i in range(4)]
        assert torch.equal(torch.cat(parts), draw(2, 7, num=12))

    def test_later_ones_of_a_sample_are_others(self):
        set_seed(1)
        random = SampleRandom('cpu', 3, 0, 0)
        drawn = torch.cat([random.uniform(4), random.uniform(4)], 1)
        assert len(drawn.unique()) == 24

    @pytest.mark.parametrize('shape', [(), (1,), (7,), (3, 4, 4)])
    def test_shape(self, shape):
        random = SampleRandom('cpu', 5, 0, 0)
        assert random.normal(*shape).shape == (5, *shape)
        assert random.uniform(*shape).shape == (5, *shape)
        assert random.normal(*shape).is_contiguous()

    def test_are_normal(self):
        numbers = SampleRandom('cpu', 1000, 0, 3).normal(129)
        assert numbers.mean().abs() < 0.01
        assert (numbers.std() - 1).abs() < 0.01
        assert numbers.abs().max() > 4
        assert (numbers.pow(4).mean() - 3).abs() < 0.1
        for matrix in (numbers, numbers.T):
            correlations = torch.corrcoef(matrix).fill_diagonal_(0)
            assert correlations.abs().max() < 6 / matrix.shape[1] ** 0.5

    @pytest.mark.parametrize('bound', [0.04, 0.5, 1, 2.0, 9.0])
    def test_are_normal_within_a_bound(self, bound):
        random = SampleRandom('cpu', 10_000, 0, 0, seed=1)
        numbers = random.normal(8, bound=bound)
        assert numbers.shape == (10_000, 8)
        assert numbers.abs().max() <= bound
        # Kolmogorov and Smirnov's test, at 1 %.
        erf = torch.erf(numbers.double().flatten().sort()[0] / 2**0.5)
        shares = (1 + erf / erf.new_tensor(bound / 2**0.5).erf()) / 2
        steps = (torch.arange(80_000) + 0.5) / 80_000
        assert (shares - steps).abs().max() < 1.63 / 80_000**0.5
        if bound < 3:
            assert numbers.abs().max() > 0.999 * bound

    def test_within_a_bound_are_those_without_but_nearer(self):
        plain = SampleRandom('cpu', 100, 0, 0, seed=1).normal(3)
        near = SampleRandom('cpu', 100, 0, 0, seed=1).normal(3, bound=1)
        assert torch.equal(plain.sign(), near.sign())
        assert (near.abs() < plain.abs()).all()
        order = plain.flatten().argsort()
        assert torch.equal(near.flatten().argsort(), order)

    def test_are_uniform(self):
        numbers = SampleRandom('cpu', 1000, 0, 3).uniform(100)
        assert 0 <= numbers.min() < 1e-4
        assert 1 - 1e-4 < numbers.max() < 1
        counts = numbers.histc(10, 0, 1)
        assert (counts - 10_000).abs().max() < 500

    def test_integers(self):
        numbers = SampleRandom('cpu', 10_000, 0, 3).integers(7)
        assert numbers.dtype is torch.int64
        counts = numbers.bincount()
        assert len(counts) == 7
        assert (counts - 10_000 / 7).abs().max() < 200

    def test_are_splitmix64s(self):
        """The first outputs for the seed 0, as the published code has them."""
        step = -0x61C8864680B583EB
        numbers = mixed(torch.arange(1, 4) * step).tolist()
        assert [x % 2**64 for x in numbers] == [
            0xE220A8397B1DCDAF,
            0x6E789E6AA1B965F4,
            0x06C45D188009454F,
        ]

    @pytest.mark.parametrize('ahead', [1, 3, 1000])
    def test_do_not_depend_on_how_many_are_drawn_at_once(
        self, ahead, monkeypatch
    ):
        def drawn():
            random = [SampleRandom('cpu', 4, 1, update) for update in range(9)]
            normal = [x.normal(7) for x in random]
            return torch.stack(normal), [x.integers(3) for x in random]

        set_seed(1)
        normal, integers = drawn()
        for name in ('UPDATES_AHEAD', 'NUMBERS_AHEAD'):
            with monkeypatch.context() as patch:
                patch.setattr(f'mmamp.randomness.samples.{name}', ahead)
                latents._ahead.cache_clear()
                others = drawn()
            assert torch.equal(others[0], normal)
            assert torch.equal(torch.stack(others[1]), torch.stack(integers))

    def test_are_drawn_once_for_some_updates(self):
        """As a window of 8 micro-batches of two networks asks for them."""
        for update in range(2 * latents.UPDATES_AHEAD):
            for stream, micro_batch in itertools.product(range(2), range(8)):
                random = SampleRandom(
                    'cpu', 4, stream, update, before=4 * micro_batch
                )
                random.normal(7), random.integers(3)
        assert latents._ahead.cache_info().misses == 2 * 2 * 8 * 2

    def test_so_many_that_memory_would_not_do_are_not_kept(self):
        for update in range(3):
            SampleRandom('cpu', 4, 0, update).normal(3, 64, 128)
        assert latents._ahead.cache_info().currsize == 0

    def test_may_be_changed(self):
        set_seed(1)
        first = draw(0, 0)
        kept = first.clone()
        first.zero_()
        assert torch.equal(draw(0, 0), kept)

    def test_drawn_ahead_in_inference_can_be_trained_on(self):
        set_seed(1)
        with torch.inference_mode():
            draw(0, 0)
        noise = draw(0, 1)
        weight = torch.ones((), requires_grad=True)
        (noise * weight).sum().backward()
        torch.testing.assert_close(weight.grad, noise.sum())

    def test_take_numpys_integers(self):
        set_seed(1)
        given = [int, np.int64, np.int32]
        drawn = [
            SampleRandom('cpu', 3, kind(0), kind(7), before=kind(4)).integers(
                kind(9)
            )
            for kind in given
        ]
        assert all(torch.equal(x, drawn[0]) for x in drawn)

    def test_leave_the_global_stream_alone(self):
        set_seed(1)
        torch.manual_seed(5)
        expected = torch.randn(4)
        torch.manual_seed(5)
        draw(0, 0)
        assert torch.equal(torch.randn(4), expected)

    @pytest.mark.parametrize('seed', [0, 2**31 - 1, 2**32 + 1, 2**64 - 1])
    def test_any_seed_that_torch_takes(self, seed):
        torch.manual_seed(seed)
        assert draw(0, 0).isfinite().all()


class TestGenerator:
    """torch's own, at a seed of the position's."""

    def numbers(self, *position, before=0):
        random = SampleRandom('cpu', 2, *position, before=before)
        return tuple(torch.randn(4, generator=random.generator()).tolist())

    def test_is_a_function_of_the_position(self):
        set_seed(1)
        first = self.numbers(0, 5)
        torch.manual_seed(99)
        assert self.numbers(0, 5) == first

    def test_differs_by_seed_position_micro_batch_and_rank(self, as_rank):
        drawn = []
        for rank in range(2):
            with as_rank(rank, 2):
                for seed in (1, 2):
                    set_seed(seed)
                    drawn += [self.numbers(0, i) for i in range(3)]
                    drawn += [self.numbers(0, 0, before=i) for i in (4, 8)]
        assert len(set(drawn)) == len(drawn) == 20
