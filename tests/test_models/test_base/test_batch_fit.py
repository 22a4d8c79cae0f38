"""What is said of a batch that the networks are not made for."""

import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import nn

from mmamp.errors import UsageError
from mmamp.models import BaseGAN, DCGANDiscriminator, ImageGAN
from mmamp.registry import MODELS

BASES = Path(__file__).parents[3] / 'configs/_base_/models'
FROM_NOISE = ('dcgan', 'lsgan', 'wgan_gp', 'sagan', 'biggan', 'stylegan2')
# What makes networks small: their advice is tried.
SMALL = dict(
    base_channels=8, num_blocks=1, hidden_channels=8, growth_channels=4
)


def config(name):
    (path,) = BASES.glob(f'{name}.py')
    cfg = Config.fromfile(path)
    cfg.merge_from_dict({'default_scope': 'mmamp'})
    model = cfg.model
    for role in ('generator', 'discriminator'):
        for key, value in SMALL.items():
            if key in model[role]:
                model[role][key] = value
    return model


def build(model):
    return MODELS.build({**model, '_scope_': 'mmamp'})


def images(channels, size, num=2):
    return torch.zeros(num, channels, *size)


def said(model, inputs, samples):
    with pytest.raises(UsageError) as error:
        build(model).check_batch(inputs, samples)
    text = str(error.value)
    assert '\n' not in text
    return text


def follow(model, text):
    """Set what is advised."""
    keys = re.findall(r'model\.(\S+)=(\d+) \(now', text)
    assert keys
    cfg = Config(dict(model=model))
    cfg.merge_from_dict({f'model.{key}': int(x) for key, x in keys})
    return cfg.model


@pytest.mark.parametrize('name', FROM_NOISE)
def test_channels_and_size_of_what_noise_becomes(name):
    model = config(f'{name}_32x32')
    labels = dict(gt_label=torch.zeros(2, dtype=torch.long))
    inputs = images(3, (64, 64))
    text = said(model, inputs, labels)
    for key in (
        'model.generator.out_channels=3 (now 1)',
        'model.generator.image_size=64 (now 32)',
        'model.discriminator.in_channels=3 (now 1)',
        'model.discriminator.image_size=64 (now 32)',
        '3 channels and 64x64 pixels',
        "dict(type='LoadImage', color_type='grayscale')",
        "dict(type='Resize', scale=(32, 32))",
    ):
        assert key in text
    assert ('and what goes with it' in text) == (name == 'biggan')
    if name == 'biggan':
        # Its latents are dealt out to one layer more.
        model['generator']['noise_size'] = model['noise_size'] = 60
    build(follow(model, text)).check_batch(inputs, labels)
    build(config(f'{name}_32x32')).check_batch(images(1, (32, 32)), labels)


def test_a_size_that_no_network_has():
    text = said(config('dcgan_32x32'), images(1, (48, 48)), {})
    assert 'must be a power of 2' in text
    assert "dict(type='Resize', scale=(32, 32))" in text
    assert 'model.generator' not in text


def test_pictures_that_are_no_squares():
    text = said(config('dcgan_32x32'), images(1, (32, 48)), {})
    assert '32x48 pixels' in text
    assert "dict(type='Resize', scale=(32, 32))" in text


@pytest.mark.parametrize(
    ('name', 'key', 'channels', 'wanted'),
    [
        ('pix2pix_32x32', 'gt_img', (3, 1), 'discriminator.in_channels=4'),
        ('pix2pix_32x32', 'gt_img', (1, 3), 'generator.out_channels=3'),
        ('cyclegan_32x32', 'target_img', (3, 3), 'generator.in_channels=3'),
    ],
)
def test_translators(name, key, channels, wanted):
    model = config(name)
    inputs, other = (images(x, (32, 32)) for x in channels)
    samples = {key: other}
    text = said(model, inputs, samples)
    assert f'model.{wanted}' in text
    assert f'`{key}` are of {channels[1]} channel' in text
    build(follow(model, text)).check_batch(inputs, samples)


@pytest.mark.parametrize('name', ['srgan_x4', 'esrgan_x4'])
def test_super_resolution(name):
    model = config(name)
    samples = dict(gt_img=images(3, (96, 96)))
    build(model).check_batch(images(3, (24, 24)), samples)
    text = said(model, images(3, (48, 48)), samples)
    assert 'model.generator.scale=2 (now 4)' in text
    text = said(model, images(3, (32, 32)), dict(gt_img=images(3, (128, 128))))
    assert 'model.discriminator.image_size=128 (now 96)' in text


class TestLabels:
    def test_too_few_classes(self):
        model = config('sagan_32x32')
        labels = torch.tensor([3, 12])
        text = said(model, images(1, (32, 32)), dict(gt_label=labels))
        assert 'label 12' in text
        assert 'model.num_classes=10' in text

    def test_no_labels(self):
        text = said(config('sagan_32x32'), images(1, (32, 32)), {})
        assert 'with_labels=True' in text

    def test_sampling(self):
        gan = build(config('sagan_32x32'))
        with pytest.raises(UsageError, match='label 10, but model.num_cla'):
            gan.sample(2, torch.tensor([9, 10]))

    def test_evaluation(self):
        gan = build(config('sagan_32x32')).eval()
        labels = dict(gt_label=torch.tensor([9, -1]))
        with pytest.raises(UsageError, match='label -1, but model.num_cla'):
            gan(images(1, (32, 32)), labels, mode='predict')

    def test_a_later_batch(self):
        """The first one fits."""
        gan = build(config('sagan_32x32'))
        wrapper = wrappers(gan)
        batch = dict(
            inputs=torch.zeros(2, 1, 32, 32, dtype=torch.uint8),
            data_samples=dict(gt_label=torch.tensor([0, 1])),
        )
        gan.train_step(batch, wrapper)
        batch['data_samples'] = dict(gt_label=torch.tensor([0, 11]))
        with pytest.raises(UsageError, match='label 11, but model.num_cla'):
            gan.train_step(batch, wrapper)


def wrappers(gan):
    return OptimWrapperDict(
        **{
            name: OptimWrapper(
                torch.optim.SGD(getattr(gan, name).parameters(), lr=0.1)
            )
            for name in ('generator', 'discriminator')
        }
    )


class TestOneNumberOfClasses:
    @pytest.mark.parametrize('name', ['sagan', 'biggan', 'stylegan2'])
    def test_networks_get_the_models(self, name):
        model = config(f'{name}_32x32')
        model['num_classes'] = 7
        for role in ('generator', 'discriminator'):
            model[role].pop('num_classes', None)
        labels = dict(gt_label=torch.tensor([6, 0]))
        gan = build(model)
        gan.check_batch(images(1, (32, 32)), labels)
        assert gan.sample(2).shape == (2, 1, 32, 32)

    def test_another_one_is_refused_still(self):
        model = config('sagan_32x32')
        model['num_classes'] = 7
        with pytest.raises(ValueError, match='num_classes=7, but generator'):
            build(model)


class Own(nn.Module):
    """Says nothing of what it is made for."""

    def __init__(self, before, after):
        super().__init__()
        self.linear = nn.Linear(before, after)

    def forward(self, x):
        x = self.linear(x.flatten(1))
        return x.view(-1, 1, 8, 8) if x.shape[1] == 64 else x


class OwnGAN(BaseGAN):
    def disc_loss(self, inputs, data_samples, optimizer_wrapper):
        return dict(loss=self.discriminator(inputs).mean())

    def gen_loss(self, inputs, data_samples, optimizer_wrapper):
        fake = self.generator(torch.zeros(len(inputs), 4))
        return dict(loss=self.discriminator(fake).mean())


def train(gan, size):
    batch = dict(inputs=torch.zeros(2, 1, size, size, dtype=torch.uint8))
    return gan.train_step(batch, wrappers(gan))


class TestNetworksOfTheUsers:
    def test_one_that_cannot_take_the_images(self):
        with pytest.raises(UsageError) as error:
            train(OwnGAN(Own(4, 64), Own(64, 1)), 16)
        text = str(error.value)
        assert 'discriminator (Own)' in text
        assert '(2, 1, 16, 16)' in text
        assert 'shapes cannot be multiplied' in text
        assert '\n' not in text
        # For the log.
        assert isinstance(error.value.__cause__, RuntimeError)

    def test_one_that_hands_arguments_on(self):
        """Its signature does not have what its config gives."""

        @MODELS.register_module(force=True)
        class HandsOn(DCGANDiscriminator):
            def __init__(self, in_channels, **kwargs):
                super().__init__(in_channels=in_channels, **kwargs)

        model = config('dcgan_32x32')
        model['discriminator']['type'] = 'HandsOn'
        build(model).check_batch(images(1, (32, 32)), {})
        assert 'model.discriminator.image_size=64 (now 32)' in said(
            model, images(1, (64, 64)), {}
        )

    def test_one_that_makes_others(self):
        gan = ImageGAN(Own(4, 64), Own(256, 1), noise_size=4)
        with pytest.raises(UsageError, match=r'\(1, 8, 8\), but those of th'):
            train(gan, 16)

    def test_what_is_no_mistake_of_shapes_stays(self):
        class Broken(OwnGAN):
            def gen_loss(self, inputs, data_samples, optimizer_wrapper):
                raise RuntimeError('of my own size')

        with pytest.raises(RuntimeError, match='of my own'):
            train(Broken(Own(4, 64), Own(64, 1)), 8)

    def test_other_losses_are_not_judged_by_ours(self):
        """Its discriminator sees halves."""

        class Halves(ImageGAN):
            def disc_loss(self, inputs, data_samples, optimizer_wrapper):
                half = inputs[:, :, ::2, ::2]
                return dict(loss=self.discriminator(half).mean())

        networks = dict(image_size=8, base_channels=2)
        gan = Halves(
            dict(
                type='mmamp.DCGANGenerator',
                out_channels=1,
                noise_size=4,
                **networks,
            ),
            dict(type='mmamp.DCGANDiscriminator', in_channels=1, **networks),
            noise_size=4,
        )
        assert 'loss' in train(gan, 16)

    def test_what_fits(self):
        assert train(OwnGAN(Own(4, 64), Own(64, 1)), 8)
