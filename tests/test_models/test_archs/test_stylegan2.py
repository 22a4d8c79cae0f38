import pytest
import torch

from mmamp.models.archs import StyleGAN2Discriminator, StyleGAN2Generator
from mmamp.models.layers.stylegan2_blocks import ConvLayer, StyledLayer, ToRGB
from mmamp.registry import MODELS

SMALL = dict(channel_base=64, channel_max=8)
LOW = (torch.float16, torch.bfloat16)


def num_params(network):
    return sum(p.numel() for p in network.parameters())


def make_generator(size=16, **kwargs):
    torch.manual_seed(0)
    small = dict(SMALL, noise_size=6, style_size=7, num_mapping_layers=2)
    network = StyleGAN2Generator(size, **(small | kwargs))
    # As after some training.
    for name, param in network.named_parameters():
        if name.endswith('noise_strength'):
            torch.nn.init.constant_(param, 0.3)
    return network


def make_discriminator(size=16, **kwargs):
    torch.manual_seed(0)
    return StyleGAN2Discriminator(size, **(SMALL | kwargs))


class TestPublishedSize:
    """1024x1024, configuration F."""

    def test_of_the_generator(self):
        with torch.device('meta'):
            assert num_params(StyleGAN2Generator(1024)) == 30_370_060

    def test_of_the_discriminator(self):
        with torch.device('meta'):
            assert num_params(StyleGAN2Discriminator(1024)) == 29_012_513

    def test_layers(self):
        with torch.device('meta'):
            assert StyleGAN2Generator(1024).num_layers == 18


@pytest.mark.parametrize('size', [8, 16, 32])
@pytest.mark.parametrize('channels', [1, 3])
class TestShapes:
    def test_of_images(self, size, channels):
        generator = make_generator(size, out_channels=channels)
        w = generator.mapping(torch.randn(3, 6))
        assert w.shape == (3, generator.num_layers, 7)
        assert generator.num_layers == 2 * size.bit_length() - 4
        assert generator.synthesis(w).shape == (3, channels, size, size)

    def test_of_logits(self, size, channels):
        discriminator = make_discriminator(size, in_channels=channels)
        images = torch.randn(3, channels, size, size)
        assert discriminator(images).shape == (3, 1)


class TestGenerator:
    def test_is_mapping_then_synthesis(self):
        generator = make_generator().eval()
        noise = torch.randn(3, 6)
        w = generator.mapping(noise)
        assert torch.equal(generator(noise), generator.synthesis(w))
        assert torch.equal(w[:, 0], w[:, -1])

    def test_is_deterministic_in_evaluation_alone(self):
        generator = make_generator()
        noise = torch.randn(3, 6)
        assert not torch.equal(generator(noise), generator(noise))
        generator.eval()
        assert torch.equal(generator(noise), generator(noise))

    def test_a_checkpoint_has_the_fixed_noise(self):
        one, other = make_generator().eval(), make_generator().eval()
        for module in other.modules():
            if isinstance(module, StyledLayer):
                module.noise.normal_()
        noise = torch.randn(3, 6)
        assert not torch.equal(one(noise), other(noise))
        other.load_state_dict(one.state_dict())
        assert torch.equal(one(noise), other(noise))

    def test_all_noise_is_from_the_generator_that_is_given(self):
        network, noise = make_generator(), torch.randn(3, 6)

        def run(seed):
            rng = torch.Generator().manual_seed(seed)
            return network(noise, generator=rng)

        assert torch.equal(run(1), run(1))
        assert not torch.equal(run(1), run(2))

    def test_each_layer_of_styles_reaches_what_it_should(self):
        """A to_rgb and the next resolution's convolution share one."""
        generator = make_generator().eval()
        seen = {}
        for i, block in enumerate(generator.blocks):
            layers = [*block.convs, block.to_rgb]
            for j, layer in enumerate(layers):
                layer.register_forward_pre_hook(
                    lambda _, args, key=(i, j): seen.update({key: args[1]})
                )
        w = torch.arange(6.0)[None, :, None].expand(2, 6, 7)
        generator.synthesis(w)
        assert {key: int(value[0, 0]) for key, value in seen.items()} == {
            (0, 0): 0,
            (0, 1): 1,
            (1, 0): 1,
            (1, 1): 2,
            (1, 2): 3,
            (2, 0): 3,
            (2, 1): 4,
            (2, 2): 5,
        }

    def test_the_image_is_the_sum_of_all_resolutions(self):
        generator = make_generator().eval()
        parts = []
        for block in generator.blocks:
            block.to_rgb.register_forward_hook(
                lambda _, args, out: parts.append(out)
            )
        image = generator(torch.randn(2, 6))
        up = generator.upsample
        assert [p.shape[-1] for p in parts] == [4, 8, 16]
        expected = up(up(parts[0])) + up(parts[1]) + parts[2]
        torch.testing.assert_close(image, expected)


class TestMixing:
    def test_layers_are_swapped_from_the_crossover_on(self):
        generator = make_generator()
        noise, mixing = torch.randn(2, 4, 6)
        one, other = generator.mapping(noise), generator.mapping(mixing)
        crossover = torch.tensor([0, 1, 4, 6])
        mixed = generator.mapping(noise, mixing, crossover)
        for i, start in enumerate(crossover):
            assert torch.equal(mixed[i, :start], one[i, :start])
            assert torch.equal(mixed[i, start:], other[i, start:])

    def test_changes_images(self):
        generator = make_generator().eval()
        noise, mixing = torch.randn(2, 3, 6)
        crossover = torch.tensor([1, 5, 6])
        images = generator(noise, mixing, crossover)
        plain = generator(noise)
        assert not torch.allclose(images[0], plain[0])
        assert not torch.allclose(images[1], plain[1])
        torch.testing.assert_close(images[2], plain[2])

    def test_needs_both(self):
        generator, noise = make_generator(), torch.randn(2, 6)
        with pytest.raises(ValueError, match='crossover is missing'):
            generator(noise, noise)
        with pytest.raises(ValueError, match='mixing is missing'):
            generator(noise, crossover=torch.tensor([1, 1]))


class TestInLowPrecision:
    @pytest.mark.parametrize('dtype', LOW)
    @pytest.mark.parametrize('make', [make_generator, make_discriminator])
    def test_is_close_and_finite(self, make, dtype):
        network = make(conv_clamp=256.0).eval()
        shape = (4, 6) if make is make_generator else (4, 3, 16, 16)
        x = torch.randn(shape)
        true = network(x)
        with torch.autocast('cpu', dtype=dtype):
            out = network(x)
        error = (out - true).square().mean().sqrt()
        assert error < 0.03 * true.square().mean().sqrt()
        if make is make_generator:
            assert out.dtype is torch.float32
        out.float().square().sum().backward()
        for name, param in network.named_parameters():
            assert param.grad is not None, name
            assert param.grad.isfinite().all(), name


@pytest.mark.parametrize('make', [make_generator, make_discriminator])
class TestBoth:
    def test_the_clamp_reaches_every_layer(self, make):
        layers = [
            module
            for module in make(conv_clamp=7.0).modules()
            if isinstance(module, (ConvLayer, StyledLayer, ToRGB))
        ]
        assert len(layers) == (8 if make is make_generator else 6)
        assert all(layer.conv_clamp == 7.0 for layer in layers)

    @pytest.mark.parametrize('size', [-8, 0, 4, 12, 48, 16.0, None])
    def test_another_size_is_refused(self, make, size):
        with pytest.raises(
            ValueError, match=f'power of 2 from 8 on, but got {size}$'
        ):
            make(size)

    @pytest.mark.parametrize('clamp', [0, -1.0, True, '256'])
    def test_another_clamp_is_refused(self, make, clamp):
        with pytest.raises(ValueError, match='conv_clamp must be'):
            make(conv_clamp=clamp)

    def test_too_few_channels_are_refused(self, make):
        with pytest.raises(ValueError, match='channel_base must be .* >= 16'):
            make(channel_base=8)

    def test_builds_from_a_config(self, make):
        kind = type(make())
        cfg = dict(type=f'mmamp.{kind.__name__}', image_size=8, **SMALL)
        assert isinstance(MODELS.build(cfg), kind)
