import cv2
import pytest
import torch
import torch.nn.functional as F
from mmcv.cnn import VGG
from mmengine.logging import MessageHub
from mmengine.optim import OptimWrapper, OptimWrapperDict
from sklearn.datasets import load_sample_image
from torch import nn

from mmamp import AmpOptimWrapper, SeparateDistributedDataParallel
from mmamp.models import ESRGAN, SRGAN
from mmamp.models.gans.srgan import enlarged

GENERATORS = {
    SRGAN: dict(type='mmamp.SRResNet', base_channels=4, num_blocks=1, scale=2),
    ESRGAN: dict(
        type='mmamp.RRDBNet',
        base_channels=4,
        num_blocks=1,
        growth_channels=2,
        scale=2,
    ),
}
DISCRIMINATOR = dict(
    type='mmamp.SRGANDiscriminator',
    image_size=32,
    base_channels=2,
    hidden_channels=4,
)


def make_gan(cls=SRGAN, **kwargs):
    torch.manual_seed(0)
    return cls(GENERATORS[cls], DISCRIMINATOR, **kwargs)


def batch(num=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    small = torch.randint(
        0, 256, (num, 3, 16, 16), generator=generator, dtype=torch.uint8
    )
    large = F.interpolate(small, scale_factor=2)
    return dict(inputs=small, data_samples=dict(gt_img=large))


def wrappers(gan, cls=OptimWrapper, **kwargs):
    return OptimWrapperDict(
        **{
            name: cls(
                optimizer=torch.optim.Adam(
                    getattr(gan, name).parameters(), lr=2e-3
                ),
                **kwargs,
            )
            for name in ('generator', 'discriminator')
        }
    )


def prepared(gan):
    data = gan.data_preprocessor(batch(), True)
    return data['inputs'], data['data_samples']


@pytest.fixture(scope='module')
def perceptual(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp('vgg') / 'vgg19.pth'
    torch.save(VGG(19).state_dict(), path)
    return dict(
        type='mmamp.PerceptualLoss',
        layer_weights=dict(conv1_2=1.0),
        weights=str(path),
    )


class TestLosses:
    def test_of_the_generator(self):
        gan = make_gan(pixel_weight=3.0).eval()
        inputs, samples = prepared(gan)
        losses = gan.gen_loss(inputs, samples, None)
        fake = gan.generator(inputs)
        error = (fake - samples['gt_img']).square().mean()
        torch.testing.assert_close(losses['loss_pixel'], 3 * error)
        torch.testing.assert_close(
            losses['loss_gen'],
            1e-3 * F.softplus(-gan.discriminator(fake)).mean(),
        )
        assert set(losses) == {'loss_gen', 'loss_pixel'}

    def test_of_the_discriminator(self):
        gan = make_gan().eval()
        inputs, samples = prepared(gan)
        losses = gan.disc_loss(inputs, samples, None)
        fake = gan.discriminator(gan.generator(inputs))
        real = gan.discriminator(samples['gt_img'])
        torch.testing.assert_close(
            losses['loss_disc_fake'], F.softplus(fake).mean()
        )
        torch.testing.assert_close(
            losses['loss_disc_real'], F.softplus(-real).mean()
        )

    def test_of_esrgan(self):
        """Equations 1 and 2 of its paper; half of the published weights."""
        gan = make_gan(ESRGAN).eval()
        inputs, samples = prepared(gan)
        disc = gan.disc_loss(inputs, samples, None)
        gen = gan.gen_loss(inputs, samples, None)
        image = gan.generator(inputs)
        fake = gan.discriminator(image)
        real = gan.discriminator(samples['gt_img'])
        real_over, fake_over = real - fake.mean(), fake - real.mean()
        torch.testing.assert_close(
            disc['loss_disc'],
            F.softplus(-real_over).mean() + F.softplus(fake_over).mean(),
        )
        torch.testing.assert_close(
            gen['loss_gen'],
            0.0025
            * (F.softplus(real_over).mean() + F.softplus(-fake_over).mean()),
        )
        torch.testing.assert_close(
            gen['loss_pixel'],
            0.005 * (image - samples['gt_img']).abs().mean(),
        )

    def test_pixel_loss_can_be_left_out(self):
        gan = make_gan(pixel_weight=0.0)
        losses = gan.gen_loss(*prepared(gan), None)
        assert set(losses) == {'loss_gen'}

    def test_perceptual(self, perceptual):
        gan = make_gan(perceptual_loss=perceptual).eval()
        inputs, samples = prepared(gan)
        losses = gan.gen_loss(inputs, samples, None)
        torch.testing.assert_close(
            losses['loss_perceptual'],
            gan.perceptual_loss(gan.generator(inputs), samples['gt_img']),
        )
        assert losses['loss_perceptual'] > 0
        assert set(gan.state_dict()) == set(make_gan().state_dict())

    @pytest.mark.parametrize('cls', [SRGAN, ESRGAN])
    @pytest.mark.parametrize('counts', [1, 2])
    def test_pixels_alone_in_the_first_updates(self, cls, counts, perceptual):
        gan = make_gan(cls, pixel_updates=2, perceptual_loss=perceptual)
        optim_wrapper = wrappers(gan, accumulative_counts=counts)
        logs = [gan.train_step(batch(), optim_wrapper) for _ in range(6)]
        alone = {'loss_pixel'}
        later = {'loss_pixel', 'loss_gen', 'loss_perceptual'}
        turns = [set(log) & later for log in logs if set(log) & later]
        assert turns == [alone] * 2 + [later] * (6 // counts - 2)
        assert all(any('disc' in name for name in log) for log in logs)

    def test_pixels_alone_without_a_pixel_loss(self):
        with pytest.raises(ValueError, match='pixel_updates=3, but pixel_we'):
            make_gan(pixel_updates=3, pixel_weight=0.0)

    def test_unknown_pixel_loss(self):
        with pytest.raises(ValueError, match="pixel_loss='l2' is unknown"):
            make_gan(pixel_loss='l2')

    def test_another_scale_of_the_data(self):
        gan = make_gan()
        inputs, samples = prepared(gan)
        with pytest.raises(ValueError, match='is not that of the data'):
            gan.gen_loss(inputs[:, :, ::2, ::2], samples, None)


@pytest.mark.parametrize('cls', [SRGAN, ESRGAN])
@pytest.mark.parametrize(
    'kwargs',
    [
        dict(cls=OptimWrapper),
        dict(cls=AmpOptimWrapper, dtype='bfloat16'),
        dict(cls=AmpOptimWrapper, dtype='float16'),
    ],
)
def test_learns(cls, kwargs, perceptual):
    gan = make_gan(cls, perceptual_loss=perceptual).train()
    optim_wrapper = wrappers(gan, **kwargs)
    MessageHub.get_current_instance().update_info('seed', 0)
    logs, skipped = [], []
    # ESRGAN begins with images that are nearer.
    for _ in range(30 if cls is SRGAN else 120):
        logs.append(gan.train_step(batch(), optim_wrapper))
        skipped.append(
            [getattr(w, 'skipped_steps', 0) for w in optim_wrapper.values()]
        )
    first, last = (logs[i]['loss_pixel'].item() for i in (0, -1))
    assert last < 0.8 * first
    assert all(v.isfinite() for log in logs for v in log.values())
    # While float16 looks for its scale, and never again.
    assert max(skipped[9]) < 6
    assert skipped[-1] == skipped[9]


def test_prediction_is_larger():
    for cls in (SRGAN, ESRGAN):
        results = make_gan(cls).test_step(batch())
        assert [r['fake_img'].shape for r in results] == [(3, 32, 32)] * 4


def test_panels_have_bicubic_beside_the_results():
    data = batch(num=2)
    panels = make_gan(ema_config=dict(momentum=0.1)).panels(data)
    names = ['source', 'bicubic', 'output', 'average', 'target']
    assert list(panels) == names
    photo = load_sample_image('flower.jpg')[100:132, 200:232]
    wanted = cv2.resize(photo, (64, 64), interpolation=cv2.INTER_CUBIC)
    found = enlarged(torch.tensor(photo).permute(2, 0, 1)[None], (64, 64))
    difference = found[0].permute(1, 2, 0).int() - torch.tensor(wanted).int()
    assert difference.abs().max() <= 1


def wrapped_children(rank, world_size, perceptual):
    gan = make_gan(perceptual_loss=perceptual)
    model = SeparateDistributedDataParallel(gan)
    kinds = {
        name: isinstance(child, nn.parallel.DistributedDataParallel)
        for name, child in model.module.named_children()
    }
    return [name for name, is_wrapped in kinds.items() if is_wrapped]


def test_perceptual_network_is_not_averaged_over_ranks(in_ranks, perceptual):
    (wrapped,) = in_ranks(1, wrapped_children, perceptual)
    assert wrapped == ['generator', 'discriminator']
