import pytest
import torch
from torch.utils.checkpoint import checkpoint

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
        mixed = generator.mapping(noise, None, mixing, crossover)
        for i, start in enumerate(crossover):
            assert torch.equal(mixed[i, :start], one[i, :start])
            assert torch.equal(mixed[i, start:], other[i, start:])

    def test_changes_images(self):
        generator = make_generator().eval()
        noise, mixing = torch.randn(2, 3, 6)
        crossover = torch.tensor([1, 5, 6])
        images = generator(noise, None, mixing, crossover)
        plain = generator(noise)
        assert not torch.allclose(images[0], plain[0])
        assert not torch.allclose(images[1], plain[1])
        torch.testing.assert_close(images[2], plain[2])

    def test_needs_both(self):
        generator, noise = make_generator(), torch.randn(2, 6)
        with pytest.raises(ValueError, match='crossover is missing'):
            generator(noise, mixing=noise)
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


class TestAverageOfW:
    def test_moves_with_each_training_pass(self):
        generator = make_generator()
        assert not generator.w_average.any()
        expected = torch.zeros(7)
        for i in range(3):
            noise = torch.randn(4, 6)
            if i:
                generator(noise)
            else:
                w = generator.mapping(noise)
            w = generator.mapping_network(noise).detach()
            expected = 0.995 * expected + 0.005 * w.mean(0)
        torch.testing.assert_close(generator.w_average, expected)

    def test_is_that_of_the_first_latents(self):
        one, other = make_generator(), make_generator()
        noise, mixing = torch.randn(2, 4, 6)
        one.mapping(noise, None, mixing, torch.tensor([1, 2, 3, 4]))
        other.mapping(noise)
        assert one.w_average.any()
        assert torch.equal(one.w_average, other.w_average)

    def test_stays_in_evaluation(self):
        generator = make_generator().eval()
        generator(torch.randn(4, 6))
        assert not generator.w_average.any()

    @pytest.mark.parametrize('dtype', LOW)
    def test_is_float32(self, dtype):
        generator, true = make_generator(), make_generator()
        noise = torch.randn(4, 6)
        with torch.autocast('cpu', dtype=dtype):
            generator(noise)
        true(noise)
        assert generator.w_average.dtype is torch.float32
        torch.testing.assert_close(
            generator.w_average, true.w_average, rtol=0.05, atol=1e-4
        )

    @pytest.mark.parametrize('reentrant', [False, True])
    def test_of_what_a_backward_pass_runs_again(self, reentrant):
        plain, again = make_generator(), make_generator()
        noise = torch.randn(4, 6, requires_grad=True)
        plain(noise)
        rng = torch.Generator()
        checkpoint(
            lambda x: again(x, generator=rng.manual_seed(0)),
            noise,
            use_reentrant=reentrant,
        ).sum().backward()
        assert again.w_average.any()
        assert torch.equal(plain.w_average, again.w_average)

    def test_is_in_the_state(self):
        generator = make_generator()
        generator(torch.randn(4, 6))
        other = make_generator()
        other.load_state_dict(generator.state_dict())
        assert torch.equal(other.w_average, generator.w_average)


class TestTruncation:
    """Karras et al., 2019, equation of appendix B."""

    def generator(self, **kwargs):
        generator = make_generator(**kwargs).eval()
        generator.w_average.normal_()
        return generator

    @pytest.mark.parametrize('psi', [-1.0, 0, 0.5, 0.7])
    def test_draws_w_to_its_average(self, psi):
        generator, noise = self.generator(), torch.randn(4, 6)
        w, average = generator.mapping(noise), generator.w_average
        found = generator.mapping(noise, truncation=psi)
        torch.testing.assert_close(found, average + psi * (w - average))
        images = generator(noise, truncation=psi)
        assert torch.equal(images, generator.synthesis(found))

    def test_of_1_is_none(self):
        generator, noise = self.generator(), torch.randn(4, 6)
        found = generator.mapping(noise, truncation=1.0)
        assert torch.equal(found, generator.mapping(noise))

    def test_of_the_first_layers(self):
        generator, noise = self.generator(), torch.randn(4, 6)
        whole = generator.mapping(noise, truncation=0.5)
        plain = generator.mapping(noise)
        generator = self.generator(truncation_layers=2)
        generator.w_average.copy_(whole.new_tensor(0))
        found = generator.mapping(noise, truncation=0.5)
        assert torch.equal(found[:, 2:], plain[:, 2:])
        torch.testing.assert_close(found[:, :2], 0.5 * plain[:, :2])

    @pytest.mark.parametrize('dtype', LOW)
    def test_in_low_precision(self, dtype):
        generator, noise = self.generator(), torch.randn(4, 6)
        true = generator.mapping(noise, truncation=0.7)
        with torch.autocast('cpu', dtype=dtype):
            w = generator.mapping(noise, truncation=0.7)
        assert w.dtype is torch.float32
        torch.testing.assert_close(w, true, rtol=0.02, atol=0.02)

    @pytest.mark.parametrize('layers', [0, 7, 1.5, True])
    def test_no_other_number_of_layers(self, layers):
        with pytest.raises(ValueError, match='int from 1 to 6, but got'):
            make_generator(truncation_layers=layers)
