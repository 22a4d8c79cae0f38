from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmamp.models.layers.residual_blocks import (
    ClassNorm,
    ConditionalNorm,
    DiscriminatorBlock,
    GeneratorBlock,
    SelfAttention,
    orthogonal_,
)
from mmamp.models.layers.spectral_norm import (
    Float32SpectralNorm,
    spectral_norm,
)


def is_normed(layer):
    return any(isinstance(m, Float32SpectralNorm) for m in layer.modules())


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


class TestConditionalNorm:
    def test_is_batch_norm_with_a_gain_around_one(self):
        norm = ConditionalNorm(4, 3).eval()
        norm.norm.running_mean.normal_()
        norm.norm.running_var.uniform_(0.5, 2)
        x, condition = torch.randn(2, 4, 5, 5), torch.randn(2, 3)
        gain = condition @ norm.gain.weight.T
        bias = condition @ norm.bias.weight.T
        mean = norm.norm.running_mean[None, :, None, None]
        var = norm.norm.running_var[None, :, None, None]
        expected = (x - mean) / (var + 1e-5).sqrt()
        expected = expected * (1 + gain[:, :, None, None])
        expected = expected + bias[:, :, None, None]
        torch.testing.assert_close(norm(x, condition), expected)

    def test_without_a_condition_is_plain_batch_norm(self):
        norm = ConditionalNorm(4, 3)
        x = torch.randn(8, 4, 5, 5)
        torch.testing.assert_close(
            norm(x, torch.zeros(8, 3)),
            F.batch_norm(x, None, None, None, None, True),
        )

    def test_each_sample_has_its_own_condition(self):
        norm = ConditionalNorm(4, 3).eval()
        x = torch.randn(2, 4, 5, 5)
        condition = torch.randn(2, 3)
        together = norm(x, condition)
        for i in range(2):
            alone = norm(x[i : i + 1], condition[i : i + 1])
            torch.testing.assert_close(together[i : i + 1], alone)

    def test_has_no_affine_of_its_own(self):
        names = [n for n, _ in ConditionalNorm(4, 3).named_parameters()]
        assert names == [
            'gain.parametrizations.weight.original',
            'bias.parametrizations.weight.original',
        ]


class TestClassNorm:
    def test_starts_as_plain_batch_norm(self):
        x, labels = torch.randn(8, 4, 5, 5), torch.arange(8) % 3
        expected = nn.BatchNorm2d(4)(x)
        torch.testing.assert_close(ClassNorm(4, 3)(x, labels), expected)
        torch.testing.assert_close(ClassNorm(4)(x), expected)

    def test_each_class_has_a_gain_and_a_bias(self):
        norm = ClassNorm(4, 3)
        names = [name for name, _ in norm.named_parameters()]
        assert names == ['gain.weight', 'bias.weight']
        nn.init.normal_(norm.gain.weight), nn.init.normal_(norm.bias.weight)
        x, labels = torch.randn(8, 4, 5, 5), torch.arange(8) % 3
        plain = nn.BatchNorm2d(4)(x)
        out = norm(x, labels)
        for i, label in enumerate(labels):
            gain = norm.gain.weight[label][:, None, None]
            bias = norm.bias.weight[label][:, None, None]
            torch.testing.assert_close(out[i], plain[i] * gain + bias)


class TestGeneratorBlock:
    def test_against_the_papers_order(self):
        """The figure upsamples first and then has the 1x1 convolution."""
        block = GeneratorBlock(
            6, 4, partial(ConditionalNorm, condition_size=3)
        ).eval()
        x, condition = torch.randn(2, 6, 5, 5), torch.randn(2, 3)
        h = F.interpolate(F.relu(block.norm1(x, condition)), scale_factor=2)
        h = F.relu(block.norm2(block.conv1(h), condition))
        expected = block.conv2(h) + block.shortcut(
            F.interpolate(x, scale_factor=2)
        )
        out = block(x, condition)
        assert out.shape == (2, 4, 10, 10)
        torch.testing.assert_close(out, expected)

    def test_its_convolutions_are_normed(self):
        block = GeneratorBlock(
            6, 4, partial(ConditionalNorm, condition_size=3)
        )
        for layer in (block.conv1, block.conv2, block.shortcut):
            assert is_normed(layer)


class TestDiscriminatorBlock:
    def test_of_the_first(self):
        block = DiscriminatorBlock(3, 4, downsample=True, is_first=True).eval()
        x = torch.randn(2, 3, 8, 8)
        h = F.avg_pool2d(block.conv2(F.relu(block.conv1(x))), 2)
        torch.testing.assert_close(
            block(x), h + block.shortcut(F.avg_pool2d(x, 2))
        )

    def test_of_the_others(self):
        """The figure has the 1x1 convolution first and then pools."""
        block = DiscriminatorBlock(4, 6, downsample=True, is_first=False)
        block.eval()
        x = torch.randn(2, 4, 8, 8)
        kept = x.clone()
        h = F.avg_pool2d(block.conv2(F.relu(block.conv1(F.relu(x)))), 2)
        out = block(x)
        assert out.shape == (2, 6, 4, 4)
        torch.testing.assert_close(out, h + F.avg_pool2d(block.shortcut(x), 2))
        assert torch.equal(x, kept)

    def test_that_changes_nothing_has_a_bare_shortcut(self):
        block = DiscriminatorBlock(4, 4, downsample=False, is_first=False)
        assert isinstance(block.shortcut, nn.Identity)
        assert block(torch.randn(2, 4, 8, 8)).shape == (2, 4, 8, 8)

    def test_that_changes_channels_alone(self):
        block = DiscriminatorBlock(4, 6, downsample=False, is_first=False)
        assert block(torch.randn(2, 4, 8, 8)).shape == (2, 6, 8, 8)


class TestSelfAttention:
    def test_does_nothing_at_first(self):
        attention = SelfAttention(16)
        x = torch.randn(2, 16, 4, 4)
        assert torch.equal(attention(x), x)

    def test_learns_from_the_start(self):
        attention = SelfAttention(16)
        attention(torch.randn(2, 16, 4, 4)).square().sum().backward()
        assert attention.gamma.grad != 0

    def test_against_the_sums_written_out(self):
        attention = SelfAttention(16).eval()
        with torch.no_grad():
            attention.gamma.fill_(0.7)
        x = torch.randn(1, 16, 4, 6)
        query, key, value = (
            attention.theta(x),
            attention.phi(x),
            attention.g(x),
        )
        key, value = F.max_pool2d(key, 2), F.max_pool2d(value, 2)
        attended = torch.zeros(1, 8, 4, 6)
        for i in range(4):
            for j in range(6):
                scores = torch.stack(
                    [
                        query[0, :, i, j] @ key[0, :, k, m]
                        for k in range(2)
                        for m in range(3)
                    ]
                )
                weights = scores.softmax(0)
                attended[0, :, i, j] = value[0].flatten(1) @ weights
        expected = x + 0.7 * attention.out(attended)
        torch.testing.assert_close(attention(x), expected)

    @pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
    def test_in_low_precision_is_close(self, dtype):
        attention = SelfAttention(16).eval()
        with torch.no_grad():
            attention.gamma.fill_(1.0)
        x = torch.randn(2, 16, 4, 4)
        expected = attention(x)
        with torch.autocast('cpu', dtype=dtype):
            out = attention(x)
        torch.testing.assert_close(out.float(), expected, atol=0.03, rtol=0.03)


class TestOrthogonal:
    def test_rows_or_columns(self):
        network = nn.Sequential(
            nn.Conv2d(2, 5, 3),
            spectral_norm(nn.Conv2d(4, 6, 1)),
            spectral_norm(nn.Linear(7, 3)),
            nn.Embedding(9, 4),
            nn.BatchNorm2d(3),
        )
        orthogonal_(network)
        originals = [
            network[0].weight,
            network[1].parametrizations.weight.original,
            network[2].parametrizations.weight.original,
            network[3].weight,
        ]
        for weight in originals:
            matrix = weight.detach().flatten(1)
            if matrix.shape[0] > matrix.shape[1]:
                matrix = matrix.T
            torch.testing.assert_close(
                matrix @ matrix.T, torch.eye(len(matrix)), atol=1e-5, rtol=0
            )
        assert (network[4].weight == 1).all()

    def test_changes_the_weights_that_were(self):
        layer = nn.Linear(4, 4)
        before = layer.weight
        orthogonal_(layer)
        assert layer.weight is before
