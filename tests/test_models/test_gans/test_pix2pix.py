import pytest
import torch
import torch.nn.functional as F
from mmengine.logging import MessageHub
from mmengine.optim import OptimWrapper, OptimWrapperDict

from mmamp import AmpOptimWrapper
from mmamp.models import Pix2Pix
from mmamp.registry import MODELS


def make_gan(**kwargs):
    torch.manual_seed(0)
    generator = dict(
        type='mmamp.UNetGenerator',
        in_channels=1,
        out_channels=1,
        base_channels=4,
        num_downs=3,
        dropout=0.0,
    )
    discriminator = dict(
        type='mmamp.PatchDiscriminator',
        in_channels=2,
        base_channels=4,
        num_layers=1,
    )
    return Pix2Pix(generator, discriminator, **kwargs)


def batch(num=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    inputs, target = torch.randint(
        0, 256, (2, num, 1, 16, 16), generator=generator, dtype=torch.uint8
    )
    return dict(inputs=inputs, data_samples=dict(gt_img=target))


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


class TestLosses:
    def test_of_the_discriminator(self):
        """Half of the cross entropy; the pairs' order is source, result."""
        gan = make_gan().eval()
        source, samples = prepared(gan)
        losses = gan.disc_loss(source, samples, None)
        fake = gan.generator(source)
        for key, image, is_real in [
            ('loss_disc_real', samples['gt_img'], 1.0),
            ('loss_disc_fake', fake, 0.0),
        ]:
            logits = gan.discriminator(torch.cat([source, image], 1))
            wanted = F.binary_cross_entropy_with_logits(
                logits, torch.full_like(logits, is_real)
            )
            torch.testing.assert_close(losses[key], wanted / 2)
        sum(losses.values()).backward()
        assert all(p.grad is None for p in gan.generator.parameters())

    def test_of_the_generator(self):
        gan = make_gan(pixel_weight=7.0).eval()
        source, samples = prepared(gan)
        losses = gan.gen_loss(source, samples, None)
        fake = gan.generator(source)
        logits = gan.discriminator(torch.cat([source, fake], 1))
        torch.testing.assert_close(
            losses['loss_gen'], F.softplus(-logits).mean()
        )
        torch.testing.assert_close(
            losses['loss_pixel'],
            7 * (fake - samples['gt_img']).abs().mean(),
        )

    def test_no_pixel_loss(self):
        gan = make_gan(pixel_weight=0)
        assert set(gan.gen_loss(*prepared(gan), None)) == {'loss_gen'}

    def test_results_of_another_size(self):
        gan = make_gan()
        source, samples = prepared(gan)
        samples['gt_img'] = samples['gt_img'][..., :8]
        with pytest.raises(ValueError, match=r'results are of shape \(4, 1,'):
            gan.gen_loss(source, samples, None)

    def test_defaults_are_the_papers(self):
        gan = make_gan()
        assert gan.pixel_weight == 100
        assert gan.gan_loss.gan_type == 'vanilla'

    def test_no_target(self):
        gan = make_gan()
        with pytest.raises(
            ValueError,
            match=r"Pix2Pix needs data_samples\['gt_img'\], but the batch "
            r"has \['gt_label'\]",
        ):
            gan.gen_loss(torch.zeros(1, 1, 16, 16), dict(gt_label=1), None)


@pytest.mark.parametrize(
    'kwargs',
    [
        dict(cls=OptimWrapper),
        dict(cls=AmpOptimWrapper, dtype='bfloat16'),
        dict(cls=AmpOptimWrapper, dtype='float16'),
    ],
)
def test_learns(kwargs):
    """One pair by heart, in every precision."""
    gan = make_gan().train()
    optim_wrapper = wrappers(gan, **kwargs)
    MessageHub.get_current_instance().update_info('seed', 0)
    logs, skipped = [], []
    for _ in range(40):
        logs.append(gan.train_step(batch(), optim_wrapper))
        skipped.append(
            [getattr(w, 'skipped_steps', 0) for w in optim_wrapper.values()]
        )
    first, last = (logs[i]['loss_pixel'].item() for i in (0, -1))
    assert last < 0.75 * first
    assert all(v.isfinite() for log in logs for v in log.values())
    # While float16 looks for its scale, and never again.
    assert max(skipped[9]) < 6
    assert skipped[-1] == skipped[9]
    for param in gan.parameters():
        assert param.requires_grad


def test_generator_takes_all_batches_of_a_window():
    """One after the other, and not the last one several times."""
    gan = make_gan().train()
    optim_wrapper = wrappers(gan, accumulative_counts=3)
    hub = MessageHub.get_current_instance()
    hub.update_info('max_iters', 8)
    seen = []
    gen_loss = gan.gen_loss

    def spied(inputs, *args):
        seen.append(inputs.clone())
        return gen_loss(inputs, *args)

    gan.gen_loss = spied
    for i in range(8):
        hub.update_info('iter', i)
        gan.train_step(batch(seed=i), optim_wrapper)
    # The last window is a short one.
    assert len(seen) == 8
    for i, inputs in enumerate(seen):
        wanted = gan.data_preprocessor(batch(seed=i))['inputs']
        assert torch.equal(inputs, wanted), i


class TestPrediction:
    def test_is_uint8_and_of_the_inputs(self):
        gan = make_gan().train()
        results = gan.test_step(batch())
        assert len(results) == 4
        for result in results:
            assert set(result) == {'fake_img'}
            assert result['fake_img'].dtype is torch.uint8
            assert result['fake_img'].shape == (1, 16, 16)
        source, _ = prepared(gan)
        wanted = gan.generator.eval()(source)
        images = torch.stack([r['fake_img'] for r in results])
        torch.testing.assert_close(
            images.float(), wanted * 127.5 + 127.5, atol=0.51, rtol=0
        )

    def test_in_evaluation_mode_which_is_left_again(self):
        gan = make_gan().train()
        before = {k: v.clone() for k, v in gan.state_dict().items()}
        one = gan.translate(prepared(gan)[0])
        assert gan.generator.training
        # A batch of another company: BatchNorm would tell.
        other = gan.translate(prepared(gan)[0][:2])
        assert torch.equal(one[:2], other)
        for name, value in gan.state_dict().items():
            assert torch.equal(value, before[name])

    def test_by_the_average_if_there_is_one(self):
        gan = make_gan(ema_config=dict(momentum=0.1))
        source, _ = prepared(gan)
        with torch.no_grad():
            for param in gan.generator.parameters():
                param.normal_()
        average = gan(source)
        assert not torch.equal(average, gan.translate(source, use_ema=False))
        gan.generator_ema.module.load_state_dict(gan.generator.state_dict())
        assert torch.equal(gan(source), gan.translate(source, use_ema=False))

    def test_another_mode_is_refused(self):
        gan = make_gan()
        with pytest.raises(ValueError, match="mode='loss': give 'tensor' or"):
            gan(prepared(gan)[0], mode='loss')


def test_builds_from_a_config():
    network = dict(
        type='mmamp.PatchDiscriminator', base_channels=1, num_layers=1
    )
    gan = MODELS.build(
        dict(type='mmamp.Pix2Pix', generator=network, discriminator=network)
    )
    assert isinstance(gan, Pix2Pix)
