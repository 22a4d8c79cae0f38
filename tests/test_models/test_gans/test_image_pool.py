import pytest
import torch
from mmengine.logging import MessageHub

from mmamp.models.gans.image_pool import ImagePool
from mmamp.randomness.samples import SampleRandom

SIZE = 5


class Reference:
    """One image after the other, as the paper says it."""

    def __init__(self, size):
        self.size, self.images = size, []

    def __call__(self, image, swaps, slot):
        if len(self.images) < self.size:
            self.images.append(image)
            return image
        if not swaps:
            return image
        old, self.images[slot] = self.images[slot], image
        return old


def numbered(first, num):
    """Images that are known by their value."""
    values = torch.arange(first, first + num, dtype=torch.float32)
    return values.view(-1, 1, 1, 1).expand(-1, 2, 3, 3).clone()


def drawn(num, position):
    return SampleRandom('cpu', num, 0, position)


def decisions(num, position, size=SIZE):
    random = drawn(num, position)
    return random.uniform(1)[:, 0] >= 0.5, random.integers(size)


@pytest.fixture(autouse=True)
def _seed():
    MessageHub.get_current_instance().update_info('seed', 3)


@pytest.mark.parametrize('num', [1, 3, 4, 12, 40])
def test_equals_one_image_after_the_other(num):
    """Batches that end in the middle of filling, and larger than the pool."""
    pool, reference = ImagePool(SIZE), Reference(SIZE)
    olds = 0
    for step in range(20):
        images = numbered(step * num, num)
        found = pool(images, drawn(num, step))
        swaps, slots = decisions(num, step)
        for i in range(num):
            wanted = reference(images[i], swaps[i], int(slots[i]))
            assert torch.equal(found[i], wanted), (step, i)
            olds += not torch.equal(wanted, images[i])
        kept = torch.stack(reference.images)
        assert torch.equal(pool.images[: len(kept)], kept)
        assert int(pool.count) == len(kept)
    # About half of what came after the pool was full.
    after = 20 * num - SIZE
    assert 0.25 * after < olds < 0.75 * after


def test_fills_first():
    pool = ImagePool(SIZE)
    images = numbered(0, SIZE)
    assert torch.equal(pool(images, drawn(SIZE, 0)), images)
    assert torch.equal(pool.images, images)


def test_results_have_no_graph_and_are_float32():
    pool = ImagePool(SIZE)
    images = numbered(0, 8).bfloat16().requires_grad_()
    found = pool(images, drawn(8, 0))
    assert found.dtype is pool.images.dtype is torch.float32
    assert not found.requires_grad
    images.data.zero_()
    assert pool.images[1:].all()


def test_batch_split_does_not_matter():
    """Micro-batches of an update are as the whole."""
    whole, parts = ImagePool(SIZE), ImagePool(SIZE)
    for step in range(6):
        images = numbered(8 * step, 8)
        found = whole(images, drawn(8, step))
        two = [
            parts(images[i : i + 4], SampleRandom('cpu', 4, 0, step, before=i))
            for i in (0, 4)
        ]
        assert torch.equal(found, torch.cat(two))
    assert torch.equal(whole.images, parts.images)


def in_a_rank(rank, world_size, steps):
    MessageHub.get_current_instance().update_info('seed', 3)
    pool = ImagePool(SIZE)
    found = [
        pool(numbered(8 * step, 8)[rank::world_size], drawn(4, step))
        for step in range(steps)
    ]
    return dict(found=torch.stack(found), pool=pool.images)


def test_ranks_have_one_pool(in_ranks):
    whole = ImagePool(SIZE)
    wanted = torch.stack(
        [whole(numbered(8 * s, 8), drawn(8, s)) for s in range(5)]
    )
    for rank, result in enumerate(in_ranks(2, in_a_rank, 5)):
        assert torch.equal(result['found'], wanted[:, rank::2])
        assert torch.equal(result['pool'], whole.images)


def test_what_is_not_finite_is_not_kept():
    """It would make later windows non-finite, too."""
    pool = ImagePool(4)
    for position in range(6):
        images = numbered(1, 4)
        images[position % 4, 0, 1, 1] = [float('nan'), float('inf')][
            position % 2
        ]
        pool(images, drawn(4, position))
    assert int(pool.count) == 4
    assert pool.images.isfinite().all()


class TestState:
    @pytest.mark.parametrize('num', [3, 9])
    def test_goes_on_where_it_was(self, num):
        """From half full, and from full."""
        pool, other = ImagePool(SIZE), ImagePool(SIZE)
        pool(numbered(0, num), drawn(num, 0))
        other.load_state_dict(pool.state_dict())
        for step in range(1, 5):
            images = numbered(20 * step, 6)
            found = pool(images, drawn(6, step))
            assert torch.equal(other(images, drawn(6, step)), found)
        assert torch.equal(pool.images, other.images)

    def test_of_a_pool_without_images(self):
        used, fresh = ImagePool(SIZE), ImagePool(SIZE)
        used(numbered(0, 8), drawn(8, 0))
        used.load_state_dict(fresh.state_dict())
        assert int(used.count) == 0
        images = numbered(0, 8)
        assert torch.equal(used(images, drawn(8, 1))[:SIZE], images[:SIZE])

    def test_of_another_size_is_refused(self):
        pool = ImagePool(SIZE)
        pool(numbered(0, 8), drawn(8, 0))
        with pytest.raises(ValueError, match='5 images, but pool_size is 6'):
            ImagePool(6).load_state_dict(pool.state_dict())


@pytest.mark.parametrize('size', [0, -1, 2.0])
def test_another_size_is_refused(size):
    with pytest.raises(ValueError, match='pool_size must be an int >= 1'):
        ImagePool(size)
