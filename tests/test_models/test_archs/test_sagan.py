import pytest
import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from mmamp.models.archs import SAGANDiscriminator, SAGANGenerator
from mmamp.registry import MODELS


def make_generator(size=32, **kwargs):
    torch.manual_seed(0)
    kwargs = dict(base_channels=8, noise_size=6) | kwargs
    return SAGANGenerator(size, **kwargs)


def make_discriminator(size=32, **kwargs):
    torch.manual_seed(0)
    return SAGANDiscriminator(size, **(dict(base_channels=8) | kwargs))


def run(network, size=32):
    torch.manual_seed(1)
    labels = () if network.num_classes is None else (torch.tensor([0, 1]),)
    if isinstance(network, SAGANGenerator):
        return network(torch.randn(2, 6), *labels)
    return network(torch.randn(2, 3, size, size), *labels)


BOTH = pytest.mark.parametrize('make', [make_generator, make_discriminator])
CLASSES = pytest.mark.parametrize('num_classes', [None, 5])


class TestPublishedWidths:
    """128x128 and 64 channels, as in the authors' code."""

    def test_of_the_generator(self):
        with torch.device('meta'):
            generator = SAGANGenerator(128, 1000, attention_size=32)
        widths = {k: b.conv2.out_channels for k, b in generator.blocks.items()}
        assert generator.width == 1024
        assert list(widths) == ['8', '16', '32', '64', '128']
        assert list(widths.values()) == [1024, 512, 256, 128, 64]
        assert list(generator.attention) == ['32']

    def test_of_the_discriminator(self):
        with torch.device('meta'):
            network = SAGANDiscriminator(128, 1000, attention_size=32)
        widths = {k: b.conv2.out_channels for k, b in network.blocks.items()}
        assert list(widths) == ['64', '32', '16', '8', '4']
        assert list(widths.values()) == [64, 128, 256, 512, 1024]
        assert network.last.conv2.out_channels == 1024
        assert list(network.attention) == ['32']


@CLASSES
@pytest.mark.parametrize('size', [8, 16, 32, 64])
class TestShapes:
    def test_of_images(self, num_classes, size):
        images = run(make_generator(size, num_classes=num_classes))
        assert images.shape == (2, 3, size, size)
        assert images.abs().max() <= 1

    def test_of_logits(self, num_classes, size):
        network = make_discriminator(size, num_classes=num_classes)
        assert run(network, size).shape == (2, 1)


class TestLabels:
    def test_change_images(self):
        generator = make_generator(num_classes=5)
        nn.init.normal_(generator.blocks['8'].norm1.gain.weight)
        generator(torch.randn(8, 6), torch.arange(8) % 5)
        generator.eval()
        noise = torch.randn(1, 6).expand(5, 6)
        images = generator(noise, torch.arange(5))
        for i in range(4):
            assert not torch.allclose(images[i], images[i + 1])

    def test_enter_logits_by_an_inner_product(self):
        network = make_discriminator(num_classes=5).eval()
        seen = []
        network.linear.register_forward_pre_hook(
            lambda _, args: seen.append(args[0])
        )
        images = torch.randn(3, 3, 32, 32)
        logits = torch.cat(
            [network(images, torch.full((3,), i)) for i in range(5)], 1
        )
        features = seen[0]
        expected = network.linear(features) + (
            features @ network.embedding.weight.T
        )
        torch.testing.assert_close(logits, expected)

    @BOTH
    def test_have_to_be_given_or_not(self, make):
        shape = (2, 6) if make is make_generator else (2, 3, 32, 32)
        x = torch.randn(shape)
        with pytest.raises(ValueError, match='num_classes=5.* not given'):
            make(num_classes=5)(x)
        with pytest.raises(ValueError, match='num_classes=None.*were given'):
            make()(x, torch.tensor([0, 1]))


@BOTH
class TestBoth:
    @CLASSES
    def test_every_layer_is_normed(self, make, num_classes):
        """To a norm near 1, which a power iteration estimates."""
        network = make(num_classes=num_classes, attention_size=16).eval()
        for name, module in network.named_modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                assert is_parametrized(module), name
                norm = torch.linalg.matrix_norm(module.weight.flatten(1), 2)
                assert norm.item() == pytest.approx(1, abs=0.15), name

    @pytest.mark.parametrize('at', [8, 16])
    def test_attention_is_where_it_was_asked_for(self, make, at):
        network = make(attention_size=at)
        seen = []
        (attention,) = network.attention.values()
        attention.register_forward_pre_hook(
            lambda _, args: seen.append(tuple(args[0].shape[2:]))
        )
        run(network)
        assert seen == [(at, at)]

    def test_attention_that_cannot_be_had(self, make):
        with pytest.raises(ValueError, match='attention_size=7: give one of'):
            make(attention_size=7)
        with pytest.raises(ValueError, match='needs 8'):
            make(base_channels=1, attention_size=16)

    @pytest.mark.parametrize('size', [0, 4, 12, 48, 32.0, None])
    def test_another_size_is_refused(self, make, size):
        with pytest.raises(ValueError, match='power of 2 from 8 on'):
            make(size)

    @CLASSES
    @pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
    def test_runs_in_low_precision(self, make, num_classes, dtype):
        network = make(num_classes=num_classes, attention_size=16)
        with torch.autocast('cpu', dtype=dtype):
            out = run(network)
        assert out.isfinite().all()
        out.float().square().sum().backward()
        for name, param in network.named_parameters():
            assert param.grad is not None, name
            assert param.grad.isfinite().all(), name

    def test_builds_from_a_config(self, make):
        kind = type(make())
        cfg = dict(type=f'mmamp.{kind.__name__}', image_size=16)
        assert isinstance(MODELS.build(cfg), kind)
