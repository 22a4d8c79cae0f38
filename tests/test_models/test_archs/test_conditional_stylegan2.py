"""Classes in StyleGAN2's networks.

``tests/test_weights/test_reading.py`` has them beside the original's figures.
"""

import pytest
import torch
from other_weights import other

from mmamp.models.archs import StyleGAN2Discriminator, StyleGAN2Generator
from mmamp.weights.layouts import split
from mmamp.weights.reading import read

SMALL = dict(image_size=8, channel_base=64, channel_max=8)


def make_generator(**kwargs):
    torch.manual_seed(0)
    sizes = dict(noise_size=6, style_size=7, num_mapping_layers=2)
    return StyleGAN2Generator(num_classes=3, **SMALL, **sizes, **kwargs)


def make_discriminator(**kwargs):
    torch.manual_seed(0)
    return StyleGAN2Discriminator(num_classes=3, **SMALL, **kwargs)


class TestClasses:
    def test_change_images_and_logits(self):
        noise, images = torch.randn(1, 6), torch.randn(1, 3, 8, 8)
        labels = torch.arange(3)
        made = make_generator().eval()(noise.expand(3, -1), labels)
        told = make_discriminator()(images.expand(3, -1, -1, -1), labels)
        assert told.shape == (3, 1)
        for out in (made, told):
            for label in (1, 2):
                distance = (out[0] - out[label]).abs().max()
                assert distance > 1e-3 * out.abs().max()

    def test_are_of_both_latents_of_an_image(self):
        generator = make_generator()
        noise, mixing = torch.randn(2, 4, 6)
        labels = torch.tensor([0, 1, 2, 2])
        crossover = torch.full((4,), 2)
        w = generator.mapping(noise, labels, mixing, crossover)
        assert torch.equal(w[:, 0], generator.mapping(noise, labels)[:, 0])
        assert torch.equal(w[:, 3], generator.mapping(mixing, labels)[:, 3])

    @pytest.mark.parametrize('dtype', [torch.int32, torch.uint8])
    def test_are_integers_of_any_kind(self, dtype):
        labels, images = torch.tensor([2, 0]), torch.randn(2, 3, 8, 8)
        discriminator = make_discriminator()
        assert torch.equal(
            discriminator(images, labels.to(dtype)),
            discriminator(images, labels),
        )

    @pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
    def test_in_low_precision(self, dtype):
        given = other('stylegan2_ada_pytorch_stylegan2_with_classes')
        model = given.build()
        parts = split(given.checkpoint())
        model.load_state_dict(read(model, given.model, parts).state)
        for name, inputs in given.inputs.items():
            network = getattr(model.eval(), name)
            true = network(*inputs)
            with torch.autocast('cpu', dtype=dtype):
                out = network(*inputs)
            assert out.dtype is torch.float32
            error = (out - true).square().mean().sqrt()
            assert error < 0.05 * true.square().mean().sqrt()

    @pytest.mark.parametrize('make', [make_generator, make_discriminator])
    def test_are_not_left_out(self, make):
        x = torch.randn((2, 6) if make is make_generator else (2, 3, 8, 8))
        with pytest.raises(ValueError, match='labels are missing.*classes=3'):
            make()(x)

    @pytest.mark.parametrize(
        'network',
        [
            StyleGAN2Generator(noise_size=6, style_size=7, **SMALL),
            StyleGAN2Discriminator(**SMALL),
        ],
    )
    def test_are_refused_by_networks_without(self, network):
        is_generator = isinstance(network, StyleGAN2Generator)
        x = torch.randn((2, 6) if is_generator else (2, 3, 8, 8))
        with pytest.raises(ValueError, match='built without classes'):
            network(x, torch.tensor([0, 1]))

    @pytest.mark.parametrize('kind', [make_generator, make_discriminator])
    def test_no_number_of_them_but_from_1_on(self, kind):
        make = type(kind())
        with pytest.raises(ValueError, match='num_classes must be an int >='):
            make(num_classes=0, **SMALL)
