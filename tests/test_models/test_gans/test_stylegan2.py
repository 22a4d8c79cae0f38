import copy
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.registry import DefaultScope

from mmamp import AmpOptimWrapper
from mmamp.models import (
    DCGANGenerator,
    StyleGAN2,
    StyleGAN2Discriminator,
    StyleGAN2Generator,
)
from mmamp.models.gans.image_gan import GENERATOR
from mmamp.randomness.samples import SampleRandom
from mmamp.registry import MODELS

CONFIGS = Path(__file__).parents[3] / 'configs'
SMALL = dict(image_size=16, channel_base=128, channel_max=16)


def set_seed(seed=1):
    MessageHub.get_current_instance().update_info('seed', seed)


def make_gan(**kwargs):
    torch.manual_seed(0)
    gan = StyleGAN2(
        dict(
            type='mmamp.StyleGAN2Generator',
            noise_size=6,
            style_size=8,
            num_mapping_layers=2,
            out_channels=1,
            **SMALL,
        ),
        dict(type='mmamp.StyleGAN2Discriminator', in_channels=1, **SMALL),
        noise_size=6,
        **(
            dict(gan_loss=dict(type='mmamp.GANLoss', gan_type='logistic'))
            | kwargs
        ),
    )
    for name, param in gan.generator.named_parameters():
        if name.endswith('noise_strength'):
            torch.nn.init.constant_(param, 0.3)
    return gan


def regularised(**kwargs):
    return make_gan(
        disc_regularizers=[dict(type='mmamp.R1', interval=2)],
        gen_regularizers=[dict(type='mmamp.PathLength', interval=2)],
        **kwargs,
    )


def batch(num=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shape = (num, 1, 16, 16)
    images = torch.randint(0, 256, shape, generator=generator)
    return dict(inputs=images.to(torch.uint8), data_samples={})


def wrappers(gan, cls=OptimWrapper, **kwargs):
    return OptimWrapperDict(
        **{
            name: cls(
                torch.optim.Adam(getattr(gan, name).parameters(), lr=1e-3),
                **kwargs,
            )
            for name in ('generator', 'discriminator')
        }
    )


def drawn(gan, num=8, before=0):
    random = SampleRandom('cpu', num, GENERATOR, 3, before=before)
    noise, _, mixing = gan._mixed_latents(random)
    return noise, *mixing.values()


class TestMixing:
    @pytest.mark.parametrize('prob', [0.1, 0.9])
    def test_is_as_frequent_as_it_says(self, prob):
        gan = make_gan(mixing_prob=prob)
        _, _, crossover = drawn(gan, 10_000)
        mixed = crossover < gan.num_layers
        assert mixed.float().mean() == pytest.approx(prob, abs=0.02)
        # From any layer on but the first.
        counts = crossover[mixed].bincount(minlength=gan.num_layers)
        assert counts[0] == 0
        share = mixed.sum() / (gan.num_layers - 1)
        assert (counts[1:] - share).abs().max() < 0.2 * share

    def test_the_other_latent_is_another(self):
        noise, mixing, _ = drawn(make_gan(), 100)
        assert mixing.shape == noise.shape == (100, 6)
        both = torch.cat([noise, mixing], 1)
        assert torch.corrcoef(both.T).fill_diagonal_(0).abs().max() < 0.5
        assert both.std() == pytest.approx(1, abs=0.1)

    def test_without_it_the_first_latent_is_the_same(self):
        (noise,) = drawn(make_gan(mixing_prob=0))
        assert torch.equal(noise, drawn(make_gan())[0])

    @pytest.mark.parametrize('prob', [-0.1, 1.1, True, None, '0.9'])
    def test_no_other_probability(self, prob):
        with pytest.raises(ValueError, match=r'mixing_prob must be in \[0, 1'):
            make_gan(mixing_prob=prob)

    def test_ranks_and_micro_batches_draw_the_same(self, as_rank):
        set_seed()
        gan = make_gan()
        whole = drawn(gan, 8)
        for rank in range(2):
            with as_rank(rank, 2):
                mine = drawn(gan, 4)
                parts = [drawn(gan, 2, before=4 * i) for i in range(2)]
            for i, value in enumerate(mine):
                assert torch.equal(value, whole[i][rank::2])
                assert torch.equal(torch.cat([p[i] for p in parts]), value)

    def test_training_mixes_and_sampling_does_not(self):
        gan = regularised()
        seen = {'train': [], 'sample': []}
        kind = 'train'
        gan.generator.register_forward_pre_hook(
            lambda _, args, kwargs: seen[kind].append((args, kwargs)),
            with_kwargs=True,
        )
        gan.train_step(batch(), wrappers(gan))
        kind = 'sample'
        gan.sample(3)
        for args, kwargs in seen['train']:
            assert len(args) == 1
            assert kwargs.keys() == {'mixing', 'crossover', 'generator'}
            assert isinstance(kwargs['generator'], torch.Generator)
        assert len(seen['train']) == 2
        ((args, kwargs),) = seen['sample']
        assert len(args) == 1
        assert not kwargs


class TestNoiseOfTheLayers:
    def images(self, gan, before=0):
        random = SampleRandom('cpu', 2, GENERATOR, 3, before=before)
        return gan._generate(random)[0]

    def test_is_a_function_of_the_position(self):
        set_seed()
        gan = make_gan()
        first = self.images(gan)
        torch.randn(7)
        assert torch.equal(self.images(gan), first)

    def test_differs_between_ranks_and_micro_batches(self, as_rank):
        set_seed()
        numbers = []
        for rank in range(2):
            with as_rank(rank, 2):
                for before in (0, 4):
                    random = SampleRandom('cpu', 2, 0, 0, before=before)
                    numbers.append(
                        torch.randn(3, generator=random.generator())
                    )
        assert len(torch.cat(numbers).unique()) == 12

    def test_leaves_torchs_own_alone(self):
        gan = regularised()
        torch.manual_seed(5)
        expected = torch.randn(4)
        torch.manual_seed(5)
        gan.train_step(batch(), wrappers(gan))
        gan.sample(2)
        assert torch.equal(torch.randn(4), expected)

    def test_samples_have_fixed_noise(self):
        gan = make_gan()
        assert torch.equal(gan.sample(3), gan.sample(3))


def check_a_few_steps(gan, make_batch, dtype):
    """Penalties of both sides are due together; all is finite, and learns."""
    optim_wrapper = wrappers(gan, AmpOptimWrapper, dtype=dtype)
    before = copy.deepcopy(gan.state_dict())
    for i in range(4):
        MessageHub.get_current_instance().update_info('iter', i)
        logs = gan.train_step(make_batch(seed=i), optim_wrapper)
        assert ('loss_r1' in logs) == ('loss_pathlength' in logs)
        assert ('loss_r1' in logs) == (i % 2 == 0)
        assert all(v.isfinite().all() for v in logs.values())
    for name, value in gan.state_dict().items():
        assert value.isfinite().all(), name
    for name, param in gan.named_parameters():
        if not name.startswith('generator_ema'):
            assert not torch.equal(param, before[name]), name


class TestTraining:
    @pytest.mark.parametrize('dtype', ['float32', 'float16', 'bfloat16'])
    def test_a_few_steps(self, dtype):
        set_seed()
        check_a_few_steps(
            regularised(ema_config=dict(momentum=0.1)), batch, dtype
        )

    def test_a_resumed_run_is_the_same(self):
        set_seed()
        hub = MessageHub.get_current_instance()

        def run(gan, optim_wrapper, iterations):
            for i in iterations:
                hub.update_info('iter', i)
                gan.train_step(batch(seed=i), optim_wrapper)

        whole = regularised()
        run(whole, wrappers(whole), range(4))
        first = regularised()
        first_wrappers = wrappers(first)
        run(first, first_wrappers, range(2))
        second = regularised()
        second.load_state_dict(first.state_dict())
        second_wrappers = wrappers(second)
        second_wrappers.load_state_dict(first_wrappers.state_dict())
        torch.manual_seed(99)
        run(second, second_wrappers, range(2, 4))
        expected = whole.state_dict()
        for name, value in second.state_dict().items():
            assert torch.equal(value, expected[name]), name


def conditional(**kwargs):
    torch.manual_seed(0)
    networks = dict(
        generator=StyleGAN2Generator(
            noise_size=6,
            style_size=8,
            num_mapping_layers=2,
            out_channels=1,
            num_classes=3,
            **SMALL,
        ),
        discriminator=StyleGAN2Discriminator(
            in_channels=1, num_classes=3, num_mapping_layers=2, **SMALL
        ),
    )
    return StyleGAN2(
        noise_size=6,
        num_classes=3,
        gan_loss=dict(type='mmamp.GANLoss', gan_type='logistic'),
        disc_regularizers=[dict(type='mmamp.R1', interval=2)],
        gen_regularizers=[dict(type='mmamp.PathLength', interval=2)],
        **networks,
        **kwargs,
    )


def labelled(num=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 3, (num,), generator=generator)
    return batch(num, seed) | dict(data_samples=dict(gt_label=labels))


class TestClasses:
    @pytest.mark.parametrize('dtype', ['float32', 'float16', 'bfloat16'])
    def test_a_few_steps(self, dtype):
        set_seed()
        check_a_few_steps(
            conditional(ema_config=dict(momentum=0.1)), labelled, dtype
        )

    @pytest.mark.parametrize('prob', [0, 0.9])
    def test_reach_both_networks_in_training(self, prob):
        gan = conditional(mixing_prob=prob)
        seen = {'generator': [], 'discriminator': []}
        for name, labels in seen.items():
            getattr(gan, name).register_forward_pre_hook(
                lambda _, args, labels=labels: labels.append(args[1])
            )
        data = labelled()
        gan.train_step(data, wrappers(gan))
        of_disc, of_gen = seen['generator']
        real = data['data_samples']['gt_label']
        fake, told, penalised, passing = seen['discriminator']
        assert torch.equal(fake, of_disc)
        assert torch.equal(told, real)
        assert torch.equal(penalised, real)
        assert torch.equal(passing, of_gen)

    def test_are_sampled(self):
        gan = conditional()
        noise, _ = gan.latents(1)
        images = gan.sample(3, torch.tensor([1, 1, 2]))
        same = gan.generate(noise.expand(3, -1), torch.tensor([0, 1, 2]))
        assert len(images) == 3
        assert torch.equal(images[0], same[1])
        assert not torch.equal(same[1], same[2])
        data = labelled(5)
        assert gan.panels(data)['generator'].shape == (5, 1, 16, 16)

    def test_a_model_without_is_not_given_labels(self):
        gan = conditional()
        gan.num_classes = None
        with pytest.raises(ValueError, match='labels are missing'):
            gan.train_step(batch(), wrappers(gan))


class TestTruncation:
    @pytest.mark.parametrize('make', [make_gan, conditional])
    @pytest.mark.parametrize('ema_config', [None, dict(momentum=0.1)])
    def test_of_w_in_all_that_is_seen(self, make, ema_config):
        set_seed()
        gan = make(ema_config=ema_config)
        gan.train_step(labelled(), wrappers(gan))
        generator = gan.generator
        if ema_config:
            generator = gan.generator_ema.module
            assert generator.w_average.any()
        assert torch.equal(generator.w_average, gan.generator.w_average)
        noise, labels = gan.latents(3)
        plain = gan.sample(3)
        gan.truncation = 0.5
        assert torch.equal(gan.latents(3)[0], noise)
        generator.eval()
        w = generator.mapping(noise, labels, truncation=0.5)
        images = generator.synthesis(w)
        generator.train()
        expected = gan.data_preprocessor.to_uint8(images)
        gan.eval()
        assert torch.equal(gan(torch.zeros(3, 1)), expected)
        assert torch.equal(gan.sample(3), expected)
        assert torch.equal(gan.generate(noise, labels), expected)
        assert not torch.equal(plain, expected)

    def test_none_in_training(self):
        set_seed()
        gan, other = make_gan(), make_gan(truncation=0.0)
        for one in (gan, other):
            one.train_step(batch(), wrappers(one))
        expected = gan.state_dict()
        for name, value in other.state_dict().items():
            assert torch.equal(value, expected[name]), name

    def test_of_0_is_one_image(self):
        gan = make_gan(truncation=0)
        assert (gan.psi, gan.threshold) == (0, None)
        assert gan.threshold is None
        images = gan.sample(4)
        assert torch.equal(images, images[:1].expand(4, -1, -1, -1))

    @pytest.mark.parametrize('value', [True, '0.5', float('inf')])
    def test_no_other_psi(self, value):
        with pytest.raises(ValueError, match='must be a finite number or No'):
            make_gan(truncation=value)


class TestAverageOfW:
    def passes(self, gan):
        """Record the mean of ``w`` of each training pass."""
        means = []

        def keep(network, args, w):
            # Each pass runs it twice: on the first latents, on the others.
            means.append(w.detach().float().mean(0))

        gan.generator.mapping_network.register_forward_hook(keep)
        return means

    @pytest.mark.parametrize('counts', [1, 2])
    def test_moves_with_every_micro_batch_of_both_sides(self, counts):
        set_seed()
        gan = regularised(ema_config=dict(momentum=0.1))
        means = self.passes(gan)
        optim_wrapper = wrappers(
            gan, AmpOptimWrapper, accumulative_counts=counts
        )
        for i in range(4):
            MessageHub.get_current_instance().update_info('iter', i)
            gan.train_step(batch(seed=i), optim_wrapper)
        expected = torch.zeros(8)
        # Path length has passes of its own.
        assert len(means) == 2 * (4 + 4 + 2)
        for mean in means[::2]:
            expected = 0.995 * expected + 0.005 * mean
        found = gan.generator.w_average
        torch.testing.assert_close(found, expected)
        if counts == 1:
            assert torch.equal(gan.generator_ema.module.w_average, found)

    @pytest.mark.parametrize('counts', [1, 2])
    @pytest.mark.parametrize('dtype', ['float32', 'float16'])
    def test_a_skipped_window_leaves_it(self, dtype, counts):
        set_seed()
        gan = regularised()
        optim_wrapper = wrappers(
            gan,
            AmpOptimWrapper,
            dtype=dtype,
            loss_scale=128.0,
            accumulative_counts=counts,
        )
        hub = MessageHub.get_current_instance()
        for i in range(counts):
            hub.update_info('iter', i)
            gan.train_step(batch(seed=i), optim_wrapper)
        before = gan.generator.w_average.clone()
        assert before.any()
        with torch.no_grad():
            kept = gan.discriminator.out.bias.clone()
            gan.discriminator.out.bias.fill_(torch.nan)
        for i in range(counts, 2 * counts):
            hub.update_info('iter', i)
            gan.train_step(batch(seed=i), optim_wrapper)
        torch.testing.assert_close(
            gan.generator.w_average, before, rtol=1e-6, atol=1e-9
        )
        with torch.no_grad():
            gan.discriminator.out.bias.copy_(kept)
        for i in range(2 * counts, 3 * counts):
            hub.update_info('iter', i)
            gan.train_step(batch(seed=i), optim_wrapper)
        assert not torch.equal(gan.generator.w_average, before)

    def test_what_is_not_finite_does_not_stay(self):
        """As where float16 overflows in the mapping network."""
        set_seed()
        gan = regularised()
        optim_wrapper = wrappers(gan, AmpOptimWrapper, dtype='float32')
        gan.train_step(batch(), optim_wrapper)
        before = gan.generator.w_average.clone()
        layer = gan.generator.mapping_network.layers[0]
        hook = layer.register_forward_hook(lambda *args: args[2] * torch.inf)
        MessageHub.get_current_instance().update_info('iter', 1)
        gan.train_step(batch(), optim_wrapper)
        hook.remove()
        assert torch.equal(gan.generator.w_average, before)


class TestPenaltiesInFloat16:
    """Within 1 % of float32, on the real networks."""

    def gradient(self, name, dtype):
        set_seed()
        gan = regularised()
        # Without the losses, which would hide the penalty.
        network = getattr(gan, name)
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        wrapper = AmpOptimWrapper(optimizer, dtype=dtype)
        inputs = gan.data_preprocessor(batch(8), True)['inputs']
        kind = dict(generator='gen', discriminator='disc')[name]
        with wrapper.optim_context(network):
            losses = getattr(gan, f'{kind}_loss')(inputs, None, wrapper)
        (penalty,) = [
            v for k, v in losses.items() if k in ('loss_r1', 'loss_pathlength')
        ]
        wrapper.backward(penalty)
        wrapper.loss_scaler.unscale_(optimizer)
        grads = [
            torch.zeros_like(p) if p.grad is None else p.grad
            for p in network.parameters()
        ]
        return torch.cat([g.flatten() for g in grads]).double()

    @pytest.mark.parametrize('name', ['discriminator', 'generator'])
    def test_gradient(self, name):
        true, low = (self.gradient(name, d) for d in ('float32', 'float16'))
        assert true.norm() > 0
        assert F.cosine_similarity(true, low, dim=0) > 0.999
        assert low.norm() == pytest.approx(true.norm().item(), rel=0.01)


class TestBuilding:
    def test_a_generator_without_styles_is_refused(self):
        with pytest.raises(
            ValueError, match='DCGANGenerator has no num_layers, mapping'
        ):
            StyleGAN2(DCGANGenerator(8), make_gan().discriminator)

    @pytest.mark.parametrize('name', ['stylegan2', 'sagan'])
    def test_the_configs_build(self, name):
        cfg = Config.fromfile(CONFIGS / name / f'{name}_digits-32x32.py')
        with DefaultScope.overwrite_default_scope('mmamp'):
            gan = MODELS.build(cfg.model)
        assert gan.sample(2).shape == (2, 1, 32, 32)
