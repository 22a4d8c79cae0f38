import copy

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.registry import DefaultScope
from torch import nn

from mmamp import AmpOptimWrapper
from mmamp.models import GANLoss, ImageGAN
from mmamp.models.gans.image_gan import DISCRIMINATOR, GENERATOR, SAMPLES
from mmamp.randomness.samples import SampleRandom
from mmamp.registry import MODELS

WRAPPER = OptimWrapper(torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1))


class Generator(nn.Module):
    """Without BatchNorm, whose mode would hide what changed an image."""

    def __init__(self, num_classes=None, dropout=0.0):
        super().__init__()
        self.linear = nn.Linear(6, 16)
        self.dropout = nn.Dropout(dropout)
        self.labels = num_classes and nn.Embedding(num_classes, 16)

    def forward(self, noise, labels=None):
        x = self.dropout(self.linear(noise))
        if labels is not None:
            x = x + self.labels(labels)
        return torch.tanh(x).view(-1, 1, 4, 4)


class Discriminator(nn.Module):
    def __init__(self, num_classes=None):
        super().__init__()
        self.linear = nn.Linear(16, 1)
        self.labels = num_classes and nn.Embedding(num_classes, 16)

    def forward(self, images, labels=None):
        x = images.flatten(1)
        if labels is not None:
            x = x * self.labels(labels)
        return self.linear(x)


def make_gan(num_classes=None, seed=0, dropout=0.0, **kwargs):
    torch.manual_seed(seed)
    return ImageGAN(
        Generator(num_classes, dropout),
        Discriminator(num_classes),
        noise_size=6,
        num_classes=num_classes,
        **kwargs,
    )


def batch(num=4, seed=0, num_classes=None):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(
        0, 256, (num, 1, 4, 4), generator=generator, dtype=torch.uint8
    )
    if num_classes is None:
        return dict(inputs=images, data_samples={})
    labels = torch.randint(0, num_classes, (num,), generator=generator)
    return dict(inputs=images, data_samples=dict(gt_label=labels))


def latents(gan, num, stream, update, before=0):
    return gan.draw_latents(
        SampleRandom('cpu', num, stream, update, before=before)
    )


def set_seed(seed=1):
    MessageHub.get_current_instance().update_info('seed', seed)


def wrappers(gan, cls=OptimWrapper, counts=1, **kwargs):
    return OptimWrapperDict(
        **{
            name: cls(
                torch.optim.Adam(getattr(gan, name).parameters(), lr=1e-2),
                accumulative_counts=counts,
                **kwargs,
            )
            for name in ('generator', 'discriminator')
        }
    )


class TestLatents:
    def test_shape_and_labels(self):
        set_seed()
        noise, labels = latents(make_gan(num_classes=3), 300, SAMPLES, 0)
        assert noise.shape == (300, 6)
        assert noise.dtype is torch.float32
        assert labels.shape == (300,)
        assert set(labels.tolist()) == {0, 1, 2}

    def test_unconditional(self):
        assert latents(make_gan(), 5, SAMPLES, 0)[1] is None

    def test_streams_and_positions_differ(self):
        set_seed()
        gan = make_gan()
        drawn = [
            latents(gan, 2, stream, index)[0]
            for stream in (DISCRIMINATOR, GENERATOR, SAMPLES)
            for index in range(5)
        ]
        assert len({tuple(x.flatten().tolist()) for x in drawn}) == 15

    def test_do_not_depend_on_the_model(self):
        set_seed()
        one, other = make_gan(seed=0), make_gan(seed=9)
        assert torch.equal(
            latents(one, 2, 0, 0)[0], latents(other, 2, 0, 0)[0]
        )

    def test_every_micro_batch_has_its_own(self):
        """Of each network, over accumulation and steps."""
        set_seed()
        gan = make_gan(generator_steps=2)
        seen = {'disc': [], 'gen': []}

        def spy(network, args):
            training = gan.generator.linear.weight.requires_grad
            seen['gen' if training else 'disc'].append(args[0].clone())

        gan.generator.register_forward_pre_hook(spy)
        optim_wrapper = wrappers(gan, counts=2)
        hub = MessageHub.get_current_instance()
        for i in range(4):
            hub.update_info('iter', i)
            gan.train_step(batch(seed=i), optim_wrapper)
        assert len(seen['disc']) == 4
        assert len(seen['gen']) == 8
        for name, stream in [('disc', DISCRIMINATOR), ('gen', GENERATOR)]:
            for i, noise in enumerate(seen[name]):
                expected, _ = latents(gan, 4, stream, i // 2, 4 * (i % 2))
                assert torch.equal(noise, expected)

    def test_short_batches_share_none(self):
        """As at the end of an epoch without ``drop_last``."""
        set_seed()
        gan = make_gan()
        seen = []
        gan.generator.register_forward_pre_hook(
            lambda network, args: seen.append(args[0])
        )
        optim_wrapper = wrappers(gan, counts=4)
        hub = MessageHub.get_current_instance()
        for i, num in enumerate([4, 2, 4, 1]):
            hub.update_info('iter', i)
            gan.train_step(batch(num, seed=i), optim_wrapper)
        noise = torch.cat(seen[:4])
        assert torch.equal(noise, latents(gan, 11, DISCRIMINATOR, 0)[0])


class TestResume:
    @pytest.mark.parametrize('wrapper', [OptimWrapper, AmpOptimWrapper])
    @pytest.mark.parametrize('counts', [1, 2])
    def test_is_equal_to_a_run_without_a_stop(self, wrapper, counts):
        set_seed()
        hub = MessageHub.get_current_instance()
        hub.update_info('max_iters', 7)

        def run(gan, optim_wrapper, iterations):
            for i in iterations:
                hub.update_info('iter', i)
                gan.train_step(batch(seed=i), optim_wrapper)

        whole = make_gan()
        run(whole, wrappers(whole, wrapper, counts), range(7))

        first = make_gan()
        first_wrappers = wrappers(first, wrapper, counts)
        run(first, first_wrappers, range(4))
        second = make_gan(seed=123)
        second.load_state_dict(first.state_dict())
        second_wrappers = wrappers(second, wrapper, counts)
        second_wrappers.load_state_dict(
            copy.deepcopy(first_wrappers.state_dict())
        )
        run(second, second_wrappers, range(4, 7))

        expected = whole.state_dict()
        for name, value in second.state_dict().items():
            assert torch.equal(value, expected[name]), name


class TestLosses:
    @pytest.mark.parametrize('num_classes', [None, 3])
    @pytest.mark.parametrize('gan_type', ['vanilla', 'hinge'])
    def test_of_the_discriminator(self, num_classes, gan_type):
        set_seed()
        gan = make_gan(
            num_classes, gan_loss=dict(type='mmamp.GANLoss', gan_type=gan_type)
        )
        data = gan.data_preprocessor(batch(num_classes=num_classes), True)
        noise, fake_labels = latents(gan, 4, DISCRIMINATOR, 0)
        losses = gan.disc_loss(data['inputs'], data['data_samples'], WRAPPER)
        if num_classes is None:
            fake = gan.discriminator(gan.generator(noise))
            real = gan.discriminator(data['inputs'])
        else:
            fake = gan.discriminator(
                gan.generator(noise, fake_labels), fake_labels
            )
            real = gan.discriminator(
                data['inputs'], data['data_samples']['gt_label']
            )
        criterion = GANLoss(gan_type)
        assert set(losses) == {'loss_disc_fake', 'loss_disc_real'}
        torch.testing.assert_close(
            losses['loss_disc_fake'], criterion(fake, False, is_disc=True)
        )
        torch.testing.assert_close(
            losses['loss_disc_real'], criterion(real, True, is_disc=True)
        )

    def test_penalties_have_scales_of_their_own(self):
        """Whether those that are rarer are due, and two of one type too."""
        gan = make_gan(
            disc_regularizers=[
                dict(type='mmamp.R1', interval=4),
                dict(type='mmamp.R1'),
                dict(type='mmamp.R2', interval=2),
            ]
        )
        data = gan.data_preprocessor(batch(), True)
        wrapper = AmpOptimWrapper(
            torch.optim.SGD(gan.discriminator.parameters(), lr=0.1),
            dtype='float16',
        )
        for update in range(4):
            wrapper.initialize_count_status(gan, update, -1)
            with wrapper.optim_context(gan.discriminator):
                losses = gan.disc_loss(data['inputs'], {}, wrapper)
            wrapper.update_params(sum(losses.values()))
        pairs = wrapper.state_dict()['penalty_scalers']
        assert [x['penalty'] for x in pairs] == [
            'loss_r1 1',
            'loss_r2 1',
            'loss_r1_2 1',
        ]

    def test_two_penalties_of_one_type_are_two_losses(self):
        rare, often = dict(type='mmamp.R1', interval=2), dict(type='mmamp.R1')
        gan = make_gan(disc_regularizers=[rare, often])
        data = gan.data_preprocessor(batch(), True)
        wrapper = AmpOptimWrapper(
            torch.optim.SGD(gan.discriminator.parameters(), lr=0.1),
            dtype='float32',
        )
        for update in range(2):
            wrapper.initialize_count_status(gan, update, -1)
            losses = gan.disc_loss(data['inputs'], {}, wrapper)
            found = [x for x in losses if not x.startswith('loss_disc')]
            expected = (
                ['loss_r1', 'loss_r1_2'] if update == 0 else ['loss_r1_2']
            )
            assert found == expected
        losses['loss_r1_2'].backward()
        assert any(p.grad is not None for p in gan.discriminator.parameters())

    @pytest.mark.parametrize('num_classes', [None, 3])
    def test_of_the_generator(self, num_classes):
        set_seed()
        gan = make_gan(
            num_classes, gan_loss=GANLoss('logistic', loss_weight=0.5)
        )
        data = gan.data_preprocessor(batch(num_classes=num_classes), True)
        noise, labels = latents(gan, 4, GENERATOR, 0)
        losses = gan.gen_loss(data['inputs'], data['data_samples'], WRAPPER)
        arguments = () if labels is None else (labels,)
        pred = gan.discriminator(gan.generator(noise, *arguments), *arguments)
        assert set(losses) == {'loss_gen'}
        torch.testing.assert_close(
            losses['loss_gen'],
            0.5 * nn.functional.softplus(-pred).mean(),
        )

    def test_whom_they_teach(self):
        gan = make_gan()
        data = gan.data_preprocessor(batch(), True)
        sum(gan.disc_loss(data['inputs'], None, WRAPPER).values()).backward()
        assert gan.discriminator.linear.weight.grad is not None
        assert gan.generator.linear.weight.grad is None
        gan.gen_loss(data['inputs'], None, WRAPPER)['loss_gen'].backward()
        assert gan.generator.linear.weight.grad.abs().sum() > 0

    def test_the_default_is_vanilla(self):
        assert make_gan().gan_loss.gan_type == 'vanilla'

    @pytest.mark.parametrize('data_samples', [None, {}, dict(other=1)])
    def test_a_conditional_model_needs_labels(self, data_samples):
        gan = make_gan(num_classes=3)
        with pytest.raises(
            ValueError, match=r"num_classes=3.*data_samples\['gt_label'\]"
        ):
            gan.disc_loss(torch.zeros(4, 1, 4, 4), data_samples, WRAPPER)

    def test_an_unconditional_model_ignores_labels(self):
        set_seed()
        labelled, plain = make_gan(), make_gan()
        labels = dict(gt_label=torch.tensor([0, 1, 2, 3]))
        images = torch.zeros(4, 1, 4, 4)
        assert labelled.disc_loss(images, labels, WRAPPER) == plain.disc_loss(
            images, None, WRAPPER
        )


class TestSample:
    def test_what_it_gives(self):
        images = make_gan().sample(5)
        assert images.shape == (5, 1, 4, 4)
        assert images.dtype is torch.uint8
        assert images.float().std() > 10
        assert not images.requires_grad

    def test_is_the_generator_on_its_own_stream(self):
        set_seed()
        gan = make_gan()
        noise, _ = latents(gan, 5, SAMPLES, 2)
        with torch.no_grad():
            expected = gan.data_preprocessor.to_uint8(gan.generator(noise))
        assert torch.equal(gan.sample(5, index=2), expected)

    def test_the_same_index_gives_the_same_images(self):
        set_seed()
        gan = make_gan()
        first = gan.sample(5, index=1)
        torch.randn(3)
        assert torch.equal(gan.sample(5, index=1), first)
        assert not torch.equal(gan.sample(5, index=2), first)

    def test_is_in_evaluation_mode_and_leaves_none_behind(self):
        gan = make_gan(dropout=0.5)
        gan.train()
        assert torch.equal(gan.sample(5), gan.sample(5))
        assert gan.generator.training
        assert gan.generator.dropout.training
        gan.generator.dropout.eval()  # frozen
        gan.sample(5)
        assert gan.generator.training
        assert not gan.generator.dropout.training
        gan.eval()
        gan.sample(5)
        assert not gan.generator.training

    def test_keeps_the_mode_where_it_fails(self):
        gan = make_gan(num_classes=3)
        with pytest.raises(RuntimeError):
            gan.generate(torch.zeros(2, 5))  # 6 are wanted
        assert gan.generator.training

    def test_does_not_touch_the_global_stream(self):
        gan = make_gan()
        torch.manual_seed(5)
        expected = torch.randn(4)
        torch.manual_seed(5)
        gan.sample(5)
        assert torch.equal(torch.randn(4), expected)

    def test_of_the_average_or_not(self):
        set_seed()
        gan = make_gan(ema_config=dict(momentum=0.5))
        with torch.no_grad():
            gan.generator.linear.weight.mul_(-1)
        noise, _ = latents(gan, 5, SAMPLES, 0)
        with torch.no_grad():
            average = gan.data_preprocessor.to_uint8(gan.generator_ema(noise))
            current = gan.data_preprocessor.to_uint8(gan.generator(noise))
        assert not torch.equal(average, current)
        assert torch.equal(gan.sample(5), average)
        assert torch.equal(gan.sample(5, use_ema=False), current)

    def test_labels(self):
        set_seed()
        gan = make_gan(num_classes=3)
        noise, drawn = latents(gan, 6, SAMPLES, 0)
        wanted = torch.tensor([0, 1, 2, 0, 1, 2])
        with torch.no_grad():
            expected = gan.generator(noise, wanted)
        to_uint8 = gan.data_preprocessor.to_uint8
        assert torch.equal(gan.sample(6, wanted), to_uint8(expected))
        assert torch.equal(gan.sample(6), gan.sample(6, drawn))
        assert not torch.equal(drawn, wanted)


class TestTruncation:
    """Of the noise; StyleGAN2's tests have the other kind."""

    def noise(self, gan, run):
        seen = []
        gan.generator.register_forward_pre_hook(
            lambda _, args: seen.append(args[0])
        )
        run(gan)
        (noise,) = seen
        return noise

    @pytest.mark.parametrize('num_classes', [None, 3])
    @pytest.mark.parametrize(
        'run',
        [
            lambda gan: gan.sample(50),
            lambda gan: gan.eval()(torch.zeros(50, 1, 4, 4)),
            lambda gan: gan.panels(batch(50, num_classes=3)),
        ],
    )
    def test_of_what_is_seen(self, run, num_classes):
        plain = self.noise(make_gan(num_classes), run)
        assert plain.abs().max() > 1
        near = self.noise(make_gan(num_classes, truncation=0.5), run)
        assert near.abs().max() <= 0.5
        assert torch.equal(near.sign(), plain.sign())

    def test_is_a_threshold(self):
        gan = make_gan(truncation=0.5)
        assert (gan.threshold, gan.psi) == (0.5, None)
        assert gan.threshold is not None
        gan.truncation = None
        assert (gan.threshold, gan.psi) == (None, None)
        assert gan.threshold is None

    def test_none_in_training(self):
        for role in ('discriminator', 'generator'):
            logs = []
            for truncation in (None, 0.5):
                gan = make_gan(truncation=truncation)
                inputs = gan.data_preprocessor(batch(), True)['inputs']
                loss = gan.disc_loss if role[0] == 'd' else gan.gen_loss
                logs.append(loss(inputs, {}, WRAPPER))
            assert logs[0] == logs[1]

    @pytest.mark.parametrize('value', [0, -1.0, True, '0.5', float('nan')])
    def test_no_other_threshold(self, value):
        with pytest.raises(ValueError, match='must be a threshold > 0 of'):
            make_gan(truncation=value)
        gan = make_gan()
        with pytest.raises(ValueError, match=r'None, but got'):
            gan.truncation = value


class TestForward:
    def test_as_many_images_as_inputs(self):
        set_seed()
        gan = make_gan()
        images = gan(torch.zeros(3, 1, 4, 4))
        assert torch.equal(images, gan.sample(3))

    def test_predict_gives_one_dict_each(self):
        set_seed()
        gan = make_gan()
        results = gan(torch.zeros(3, 1, 4, 4), mode='predict')
        assert len(results) == 3
        for result, image in zip(results, gan.sample(3), strict=True):
            assert torch.equal(result['fake_img'], image)

    def test_labels_of_the_batch(self):
        set_seed()
        gan = make_gan(num_classes=3)
        labels = torch.tensor([2, 2, 1])
        images = gan(torch.zeros(3, 1, 4, 4), dict(gt_label=labels))
        assert torch.equal(images, gan.sample(3, labels))
        assert gan(torch.zeros(3, 1, 4, 4)).shape == (3, 1, 4, 4)

    def test_an_evaluation_takes_other_latents_for_each_batch(self):
        set_seed()
        gan = make_gan().eval()
        inputs = torch.zeros(2, 1, 4, 4)
        parts = torch.cat([gan(inputs), gan(inputs[:1])])
        assert torch.equal(parts, gan.sample(3))
        assert not torch.equal(parts[2], parts[0])

    def test_every_evaluation_takes_the_same_latents(self):
        set_seed()
        gan = make_gan().eval()
        inputs = torch.zeros(2, 1, 4, 4)
        first = gan(inputs)
        assert not torch.equal(gan(inputs), first)
        gan.train().eval()
        assert torch.equal(gan(inputs), first)

    def test_ranks_share_out_an_evaluation(self, as_rank):
        set_seed()
        gan = make_gan().eval()
        inputs = torch.zeros(2, 1, 4, 4)
        parts = []
        for rank in range(2):
            with as_rank(rank, 2):
                gan.eval()
                parts.append([gan(inputs), gan(inputs)])
        whole = gan.sample(8)
        for rank in range(2):
            assert torch.equal(torch.cat(parts[rank]), whole[rank::2])

    def test_as_mmengines_loops_call_it(self):
        gan = make_gan(num_classes=3)
        results = gan.val_step(batch(num_classes=3))
        assert len(results) == 4
        assert results[0]['fake_img'].shape == (1, 4, 4)

    @pytest.mark.parametrize('mode', ['loss', 'other'])
    def test_another_mode(self, mode):
        with pytest.raises(ValueError, match=f"'{mode}'.*train_step"):
            make_gan()(torch.zeros(3, 1, 4, 4), mode=mode)


class TestConfig:
    @pytest.mark.parametrize(
        ('gan_loss', 'gan_type'),
        [(None, 'vanilla'), (dict(type='GANLoss', gan_type='wgan'), 'wgan')],
    )
    def test_builds(self, gan_loss, gan_type):
        cfg = dict(
            type='mmamp.ImageGAN',
            noise_size=100,
            generator=dict(type='mmamp.DCGANGenerator', image_size=8),
            discriminator=dict(type='mmamp.DCGANDiscriminator', image_size=8),
            gan_loss=gan_loss,
            ema_config=dict(momentum=0.001),
        )
        with DefaultScope.overwrite_default_scope('mmamp'):
            gan = MODELS.build(cfg)
        assert gan.gan_loss.gan_type == gan_type
        assert gan.sample(2).shape == (2, 3, 8, 8)


def test_ranks_never_share_latents(as_rank):
    set_seed()
    drawn = []
    for rank in range(2):
        with as_rank(rank):
            drawn += [
                latents(make_gan(), 1, stream, index)[0]
                for stream in (DISCRIMINATOR, GENERATOR, SAMPLES)
                for index in range(4)
            ]
    assert len({tuple(noise[0].tolist()) for noise in drawn}) == 24
