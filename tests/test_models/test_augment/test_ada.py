"""What ADA makes of images, beside closed forms and the authors' code."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from devices import exact_float32, on_gpu, waits
from given_numbers import Given, given
from torch.autograd import gradcheck, gradgradcheck

from mmamp.models import ADA
from mmamp.models.augment.bgc import TRANSFORMS
from mmamp.randomness.samples import SampleRandom
from mmamp.registry import MODELS

FIGURES = torch.load(
    Path(__file__).parents[2] / 'data/originals/augment.pth',
    weights_only=True,
)


def fixed(p=0.5, **kwargs):
    return ADA(target=None, p=p, **kwargs)


def images(*shape, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    found = torch.rand(shape, generator=generator, dtype=torch.float64) * 2 - 1
    return found.to(dtype)


def drawn(num, seed=1):
    return SampleRandom('cpu', num, 0, 0, seed=seed)


X = images(3, 3, 8, 10)


class TestCopies:
    """Flips, quarter turns and whole pixels keep every bit."""

    def test_flip(self):
        y = fixed()(X, given(3, xflip=torch.tensor([0.4, 0.6, 0.6])))
        assert torch.equal(y, torch.stack([X[0], X[1].flip(2), X[2].flip(2)]))

    def test_quarter_turns(self):
        x = images(4, 3, 8, 8)
        y = fixed()(x, given(4, rotate90=torch.arange(4) / 4 + 0.1))
        turned = [torch.rot90(x[i], i, (1, 2)) for i in range(4)]
        assert torch.equal(y, torch.stack(turned))

    def test_translations(self):
        """Up to an eighth, of which the picture's reflection comes in."""
        y = fixed()(X, given(3, x=0.99, y=torch.tensor([0.01, 0.5, 0.99])))
        padded = F.pad(X, (1, 1, 1, 1), mode='reflect')
        for i, row in enumerate((2, 1, 0)):
            expected = padded[i, :, row : row + 8, :10]
            assert torch.equal(y[i], expected)

    def test_in_their_order(self):
        x = images(2, 1, 8, 8)
        y = fixed()(x, given(2, xflip=0.9, rotate90=0.3, x=0.99, y=0.5))
        turned = torch.rot90(x.flip(3), 1, (2, 3))
        padded = F.pad(turned, (1, 1, 1, 1), mode='reflect')
        assert torch.equal(y, padded[..., 1:-1, :8])

    def test_none_at_p_0(self):
        ada = ADA()
        assert torch.equal(ada(X, drawn(3)), X)
        assert torch.equal(ada(X.half(), drawn(3)), X.half().float())


class TestGeometry:
    @pytest.mark.parametrize(
        ('values', 'inverse'),
        [
            (dict(scale=1.0), (2**-0.2, 0, 0, 2**-0.2, 0, 0)),
            (dict(aniso=-1.5), (2**0.3, 0, 0, 2**-0.3, 0, 0)),
            (
                dict(before=0.6),
                (*(math.cos(0.2 * math.pi), -math.sin(0.2 * math.pi)),)
                + (*(math.sin(0.2 * math.pi), math.cos(0.2 * math.pi)), 0, 0),
            ),
            (dict(fine_x=0.4, fine_y=-0.3), (1, 0, 0, 1, -1.6, 1.2)),
        ],
    )
    def test_of_a_smooth_picture(self, values, inverse):
        """Where it is inside, it is what it was where the map comes from."""

        def picture(x, y):
            return torch.sin(x / 3) * torch.cos(y / 4 + 0.5)

        at = torch.arange(32.0) - 15.5
        x, y = at[None, :], at[:, None]
        a, b, c, d, e, f = inverse
        there = (a * x + b * y + e, c * x + d * y + f)
        found = fixed()(picture(x, y)[None, None], given(1, **values))[0, 0]
        inside = torch.stack([p.abs() < 10 for p in there]).all(0)
        assert inside.sum() > 200
        error = (found - picture(*there))[inside].abs().max()
        # The filters shift by a twentieth of a pixel, and back.
        assert error < 0.02

    def test_both_rotations_at_once(self):
        x = images(1, 1, 16, 16)
        one = fixed()(x, given(1, before=0.7))
        two = fixed()(x, given(1, before=0.6, after=0.6))
        torch.testing.assert_close(one, two)


def paper_matrix(brightness, contrast, flip, hue, saturation):
    """The paper's affine map of colours, of its parts."""
    v = np.ones(3) / 3**0.5
    axis, eye = np.outer(v, v), np.eye(3)
    x, y, z = v
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    parts = [np.eye(4) for _ in range(5)]
    parts[0][:3, :3] = axis + (eye - axis) * saturation
    parts[1][:3, :3] = axis + (eye - axis) * np.cos(hue) + cross * np.sin(hue)
    parts[2][:3, :3] = eye - 2 * axis * flip
    parts[3][:3, :3] = eye * contrast
    parts[4][:3, 3] = brightness
    return np.linalg.multi_dot(parts)


class TestColors:
    VALUES = dict(
        brightness=-0.7, contrast=0.8, lumaflip=0.9, hue=0.8, saturation=-0.4
    )
    MATRIX = paper_matrix(-0.14, 2**0.4, 1, 0.6 * math.pi, 2**-0.4)

    def test_are_the_paper_s(self):
        y = fixed()(X, given(3, **self.VALUES))
        m = torch.tensor(self.MATRIX).float()
        expected = torch.einsum('dc,nchw->ndhw', m[:3, :3], X)
        expected = expected + m[:3, 3].view(-1, 1, 1)
        torch.testing.assert_close(y, expected)

    def test_of_grey_images(self):
        x = X[:, :1]
        y = fixed()(x, given(3, **self.VALUES))
        m = torch.tensor(self.MATRIX).float()[:3].mean(0)
        torch.testing.assert_close(y, x * m[:3].sum() + m[3])

    def test_of_two_channels(self):
        with pytest.raises(ValueError, match='2 channels, but brightness'):
            fixed()(X[:, :2], drawn(3))
        fixed(transforms=['xflip', 'scale'])(X[:, :2], drawn(3))


class TestBesideTheOriginal:
    """The same numbers drawn; figures of
    ``benchmarks/originals/augment.py``."""

    @pytest.fixture(params=range(4), ids=['bgc', 'grey', 'geometry', 'colors'])
    def case(self, request):
        figures = FIGURES['ada'][request.param]
        x = figures['images'].requires_grad_()
        ada = fixed(figures['p'], transforms=figures['transforms'])
        y = ada(x, Given(figures['uniform'], figures['normal']))
        (gradient,) = torch.autograd.grad((y * figures['weights']).sum(), x)
        return figures, y.detach(), gradient

    def test_images_and_gradients(self, case):
        """Apart by what the reflections outside of a picture differ."""
        figures, y, gradient = case
        error = (y - figures['out']).abs()
        assert error.max() < 0.1
        assert error.mean() < 0.006
        expected = figures['gradient']
        assert (gradient - expected).norm() < 0.13 * expected.norm()

    def test_colors_to_the_last_digits(self):
        figures = FIGURES['ada'][3]
        numbers = Given(figures['uniform'], figures['normal'])
        y = fixed(1.0, transforms=figures['transforms'])(
            figures['images'], numbers
        )
        torch.testing.assert_close(y, figures['out'], rtol=0, atol=1e-6)

    def test_geometry_inside_of_the_picture(self):
        figures = FIGURES['ada'][2]
        numbers = Given(figures['uniform'], figures['normal'])
        y = fixed(1.0, transforms=figures['transforms'])(
            figures['images'], numbers
        )
        close = (y - figures['out']).abs() < 2e-5
        # From where the filters see nothing that is outside.
        inner = close[..., 12:20, 12:20].flatten(1).all(1)
        assert inner.sum() >= 4
        assert close.float().mean() > 0.4


class TestProbability:
    NUM = 6000

    @pytest.mark.parametrize(
        ('name', 'share'),
        [
            ('xflip', 1 / 2),
            ('rotate90', 3 / 4),
            ('xint', 3 / 4),  # else both are rounded to 0
            ('lumaflip', 1 / 2),
            *(
                (name, 1)
                for name in TRANSFORMS
                if name not in ('xflip', 'rotate90', 'xint', 'lumaflip')
            ),
        ],
    )
    def test_of_each(self, name, share):
        """Chi-square with one degree of freedom: below 10.8 but 1 in 1,000."""
        x = images(1, 3, 8, 8).expand(self.NUM, -1, -1, -1)
        y = fixed(0.3, transforms=[name])(x, drawn(self.NUM))
        changed = int((y != x).flatten(1).any(1).sum())
        expected = 0.3 * share * self.NUM
        spread = expected * (1 - 0.3 * share)
        assert (changed - expected) ** 2 / spread < 10.8

    def test_are_independent(self):
        """Flips of pixels and of luma, in a table of four."""
        x = images(1, 1, 4, 4).expand(self.NUM, -1, -1, -1)
        y = fixed(1.0, transforms=['xflip', 'lumaflip'])(x, drawn(self.NUM))
        kinds = [
            (y == other).flatten(1).all(1)
            for other in (x, -x, x.flip(3), -x.flip(3))
        ]
        counts = torch.stack(kinds).sum(1).double()
        assert counts.sum() == self.NUM
        expected = self.NUM / 4
        # Three degrees of freedom.
        assert ((counts - expected) ** 2 / expected).sum() < 16.3

    def test_a_transform_alone_draws_what_it_draws_among_others(self):
        x = images(20, 1, 4, 4)
        flipped, negated, both = (
            fixed(1.0, transforms=names)(x, drawn(20))
            for names in (['xflip'], ['lumaflip'], ['lumaflip', 'xflip'])
        )
        assert not torch.equal(flipped, x)
        assert torch.equal(flipped * (negated / x).sign(), both)

    def test_without_given_numbers_they_are_torchs(self):
        torch.manual_seed(3)
        one = fixed(1.0)(X)
        torch.manual_seed(3)
        assert torch.equal(fixed(1.0)(X), one)
        assert not torch.equal(fixed(1.0)(X), one)


class TestDerivatives:
    def test_first_and_second(self):
        x = images(1, 3, 5, 4, dtype=torch.float64).requires_grad_()
        ada = fixed(1.0)
        assert gradcheck(lambda x: ada(x, drawn(1)), x)
        assert gradgradcheck(lambda x: ada(x, drawn(1)).sin(), x)

    @pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
    def test_of_narrow_images_are_those_of_float32(self, dtype):
        """Which they become: it is their rounding alone that is lost."""
        ada = fixed(1.0)
        x = images(4, 3, 8, 8).to(dtype)
        found = []
        for leaf in (x.clone(), x.float()):
            leaf.requires_grad_()
            with torch.autocast('cpu', dtype=dtype):
                y = ada(leaf, drawn(4))
                assert y.dtype is torch.float32
                (first,) = torch.autograd.grad(
                    y.sin().sum(), leaf, create_graph=True
                )
                (second,) = torch.autograd.grad(
                    first.float().square().sum(), leaf
                )
            found.append((y, first, second))
        narrow, wide = found
        assert torch.equal(narrow[0], wide[0])
        assert torch.equal(narrow[1], wide[1].to(dtype))
        rounded = torch.finfo(dtype).eps
        torch.testing.assert_close(
            narrow[2].float(), wide[2], rtol=0, atol=8 * rounded
        )


def feed(ada, signs, num=8):
    """One update of which so many signs are +1, the others -1."""
    ada.observe(torch.tensor([1.0] * signs + [-1.0] * (num - signs))[:, None])


class TestHeuristic:
    def test_by_hand(self):
        """Four updates of 8 images are 32 of 1,000: steps of 0.032."""
        ada = ADA(target=0.5, ada_kimg=1.0)
        signs = [*(8, 8, 8, 7), *(7, 6, 5, 6), *(8, 8, 7, 8), *(4, 4, 3, 5)]
        found = []
        for update, number in enumerate(signs, 1):
            feed(ada, number)
            ada.adapt(update)
            found.append((round(float(ada.p), 6), float(ada.r_t)))
        expected = [
            *[(0.0, 0.0)] * 3,
            *[(0.032, 30 / 32)] * 4,
            *[(0.032, 16 / 32)] * 4,  # just on the target
            *[(0.064, 30 / 32)] * 4,
            (0.032, 0.0),
        ]
        assert found == expected

    def test_is_never_below_0(self):
        ada = ADA(p=0.01, ada_kimg=1.0)
        for update in range(1, 9):
            feed(ada, 0)
            ada.adapt(update)
        assert float(ada.p) == 0
        assert float(ada.r_t) == -1

    def test_from_0_to_1_in_so_many_thousands(self):
        ada = ADA(ada_kimg=0.4, interval=2)
        for update in range(1, 101):
            feed(ada, 8)
            ada.adapt(update)
            if update == 50:
                assert float(ada.p) == pytest.approx(1)
        assert float(ada.p) == pytest.approx(2)
        assert ada(X, drawn(3)).isfinite().all()

    def test_of_logits_of_patches(self):
        ada = ADA(target=0.4, ada_kimg=1.0, interval=1)
        logits = torch.ones(2, 1, 2, 2)
        logits[0, 0, 0, 0] = -3
        ada.observe(logits)
        ada.adapt(1)
        assert float(ada.r_t) == 0.75
        assert float(ada.p) == pytest.approx(0.002)

    def test_nothing_seen_moves_nothing(self):
        ada = ADA(p=0.5)
        ada.r_t.fill_(0.3)
        ada.adapt(4)
        assert float(ada.p) == 0.5
        assert float(ada.r_t) == pytest.approx(0.3)

    def test_nan_has_no_sign(self):
        """Where an optimizer wrapper takes nothing back."""
        ada = ADA(p=0.5, interval=1)
        ada.observe(torch.tensor([[float('nan')]] * 4 + [[1.0]] * 4))
        ada.adapt(1)
        assert float(ada.r_t) == 0.5

    def test_a_fixed_p_stays(self):
        ada = fixed(0.2)
        feed(ada, 8)
        ada.adapt(4)
        assert float(ada.p) == pytest.approx(0.2)
        assert ada.scalars() == {}
        assert not ada.state_dict()


class TestOnAGPU:
    pytestmark = on_gpu

    def test_what_it_does_on_the_cpu(self):
        with exact_float32():
            found = fixed(1.0).cuda()(
                X.cuda(), SampleRandom('cuda', 3, 0, 0, seed=1)
            )
        torch.testing.assert_close(
            found.cpu(), fixed(1.0)(X, drawn(3)), rtol=1e-3, atol=1e-3
        )

    def test_nothing_waits(self):
        ada = ADA(p=0.5).cuda()
        x = images(4, 3, 8, 8).cuda().requires_grad_()

        def update(number):
            y = ada(x, SampleRandom('cuda', 4, 0, number, seed=1))
            (gradient,) = torch.autograd.grad(
                y.sin().sum(), x, create_graph=True
            )
            gradient.square().sum().backward()
            ada.observe(y)
            ada.adapt(4 * number)

        update(0)
        with waits() as found:
            update(1)
        assert not found


class TestArguments:
    @pytest.mark.parametrize(
        ('kwargs', 'said'),
        [
            (dict(target=1.5), r'target must be in \[-1, 1\], but got 1.5'),
            (dict(p=-0.1), r'p must be in \[0, 1\], but got -0.1'),
            (dict(target=None), 'give a fixed p'),
            (dict(interval=0), 'interval must be an int >= 1, but got 0'),
            (dict(p='high'), "p must be in .0, 1., but got 'high'"),
            (dict(ada_kimg=None), 'ada_kimg must be a number >= 0'),
            (dict(ada_kimg=0), 'ada_kimg must be > 0, but got 0'),
            (
                dict(transforms=['flip']),
                "'flip' is unknown: give one of 'xflip', 'rotate90'",
            ),
            (dict(transforms='xflip'), 'transforms must be a list'),
            (dict(transforms=[]), 'transforms must be a list'),
        ],
    )
    def test_bad(self, kwargs, said):
        with pytest.raises(ValueError, match=said):
            ADA(**kwargs)

    def test_built_from_a_config(self):
        ada = MODELS.build(dict(type='mmamp.ADA', target=0.5))
        assert 'target=0.5' in repr(ada)
