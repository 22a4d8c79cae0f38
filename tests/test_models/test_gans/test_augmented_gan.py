"""GANs whose discriminator sees augmented images."""

import copy
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from differences import differences
from mmengine.logging import MessageHub
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from mmamp import AmpOptimWrapper, SeparateDistributedDataParallel
from mmamp.distributed.statistics import unify_buffers
from mmamp.models import ADA, DiffAugment, ImageGAN, StyleGAN2Discriminator
from mmamp.models.augment.augmentation import AugmentedDiscriminator
from mmamp.models.gans.image_gan import (
    DISCRIMINATOR,
    FAKE_AUGMENT,
    GEN_AUGMENT,
    GENERATOR,
    PENALTY_AUGMENT,
    REAL_AUGMENT,
)
from mmamp.models.losses import DRAGAN, R1, R2, WGANGP
from mmamp.randomness.samples import SampleRandom
from mmamp.registry import OPTIM_WRAPPER_CONSTRUCTORS

KINDS = dict(
    ada=dict(type='mmamp.ADA', target=None, p=0.8),
    diff_augment=dict(type='mmamp.DiffAugment'),
)


def make_gan(augment, **kwargs):
    torch.manual_seed(0)
    return ImageGAN(
        nn.Sequential(nn.Linear(6, 64), nn.Tanh(), nn.Unflatten(1, (1, 8, 8))),
        nn.Sequential(
            nn.Flatten(), nn.Linear(64, 8), nn.LeakyReLU(0.2), nn.Linear(8, 1)
        ),
        noise_size=6,
        augment=augment,
        **kwargs,
    )


def make_wrappers(gan, dtype='float32', counts=1, **kwargs):
    def of():
        return dict(
            type='mmamp.AmpOptimWrapper',
            dtype=dtype,
            accumulative_counts=counts,
            optimizer=dict(type='Adam', lr=1e-2, **kwargs),
        )

    constructor = OPTIM_WRAPPER_CONSTRUCTORS.build(
        dict(
            type='mmamp.OptimWrapperConstructor',
            optim_wrapper_cfg=dict(generator=of(), discriminator=of()),
        )
    )
    return constructor(gan)


def pictures(seed, num=4):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(
        0, 256, (num, 1, 8, 8), generator=generator, dtype=torch.uint8
    )


def run(model, wrappers, iterations, max_iters=100):
    hub = MessageHub.get_current_instance()
    hub.update_info('seed', 1)
    hub.update_info('max_iters', max_iters)
    logs = []
    for i in iterations:
        hub.update_info('iter', i)
        data = dict(inputs=pictures(i), data_samples={})
        logs.append(model.train_step(data, wrappers))
    return logs


def numbers(num, stream):
    return SampleRandom('cpu', num, stream, 0, seed=1)


@pytest.mark.parametrize('kind', KINDS)
class TestLosses:
    @pytest.fixture
    def gan(self, kind):
        MessageHub.get_current_instance().update_info('seed', 1)
        return make_gan(
            KINDS[kind], disc_regularizers=[dict(type='mmamp.R1', weight=2.0)]
        )

    def test_of_the_discriminator(self, gan):
        """Real and generated images, and a penalty by those not augmented."""
        wrapper = make_wrappers(gan)['discriminator']
        real = pictures(0).float() / 127.5 - 1
        losses = gan.disc_loss(real, None, wrapper)
        noise = gan.draw_latents(numbers(4, DISCRIMINATOR))[0]
        fake = gan.generator(noise)
        for images, stream, name, target in (
            (fake, FAKE_AUGMENT, 'loss_disc_fake', 0.0),
            (real, REAL_AUGMENT, 'loss_disc_real', 1.0),
        ):
            seen = gan.augment(images, numbers(4, stream))
            assert not torch.equal(seen, images)
            logits = gan.discriminator(seen)
            torch.testing.assert_close(
                losses[name],
                F.binary_cross_entropy_with_logits(
                    logits, torch.full_like(logits, target)
                ),
            )
        leaf = real.clone().requires_grad_()
        logits = gan.discriminator(
            gan.augment(leaf, numbers(4, PENALTY_AUGMENT))
        )
        (gradient,) = torch.autograd.grad(logits.sum(), leaf)
        torch.testing.assert_close(
            losses['loss_r1'], gradient.square().sum((1, 2, 3)).mean()
        )

    def test_of_the_generator(self, gan):
        wrapper = make_wrappers(gan)['generator']
        losses = gan.gen_loss(pictures(0).float(), None, wrapper)
        fake = gan.generator(gan.draw_latents(numbers(4, GENERATOR))[0])
        seen = gan.augment(fake, numbers(4, GEN_AUGMENT))
        expected = F.softplus(-gan.discriminator(seen)).mean()
        torch.testing.assert_close(losses['loss_gen'], expected)
        losses['loss_gen'].backward()
        assert gan.generator[0].weight.grad.abs().sum() > 0

    def test_samples_are_not_augmented(self, gan):
        noise = gan.latents(3)[0]
        expected = gan.data_preprocessor.to_uint8(gan.generator(noise))
        assert torch.equal(gan.sample(3), expected)


BOUNDS = dict(float16=(0.999, 0.01), bfloat16=(0.99, 0.05))
"""Cosine and relative norm of the parameter gradients, as promised."""


@pytest.mark.parametrize('dtype', BOUNDS)
@pytest.mark.parametrize('penalty', [R1, R2, WGANGP, DRAGAN])
@pytest.mark.parametrize('kind', KINDS)
def test_penalties_in_low_precision(kind, penalty, dtype):
    torch.manual_seed(0)
    network = StyleGAN2Discriminator(16, channel_base=128, channel_max=16)
    augment = dict(ada=ADA(target=None, p=1.0), diff_augment=DiffAugment())[
        kind
    ]
    real, fake = (torch.rand(4, 3, 16, 16) * 2 - 1 for _ in range(2))

    def gradient(dtype):
        copied = copy.deepcopy(network)
        wrapper = AmpOptimWrapper(
            torch.optim.SGD(copied.parameters(), lr=0.1), dtype=dtype
        )
        with wrapper.optim_context(copied):
            loss = penalty()(
                AugmentedDiscriminator(copied, augment, numbers(4, 0)),
                (real,),
                (fake,),
                wrapper.grad,
                numbers(4, 1),
            )
        wrapper.backward(loss)
        if wrapper.loss_scaler.is_enabled():
            wrapper.loss_scaler.unscale_(wrapper.optimizer)
        found = [
            p.grad.flatten() for p in copied.parameters() if p.grad is not None
        ]
        return torch.cat(found).double()

    expected, found = gradient('float32'), gradient(dtype)
    low_cosine, max_error = BOUNDS[dtype]
    assert F.cosine_similarity(found, expected, dim=0) >= low_cosine
    assert abs(found.norm() / expected.norm() - 1) <= max_error


ADAPTIVE = dict(type='mmamp.ADA', target=0.0, ada_kimg=0.1)


def state_of(gan):
    state = {k: v.clone() for k, v in gan.augment.state_dict().items()}
    assert set(state) == {'p', 'r_t', 'signs', 'num_images'}
    return state


class TestAdaptive:
    @pytest.mark.parametrize('counts', [1, 2])
    def test_a_minibatch_is_a_window(self, counts):
        """Every fourth update of the discriminator moves p by its images."""
        gan = make_gan(ADAPTIVE, disc_regularizers=[dict(type='mmamp.R1')])
        wrappers = make_wrappers(gan, counts=counts)
        observe, signs = gan.augment.observe, []

        def spy(logits):
            signs.append(float(logits.sign().mean()))
            observe(logits)

        gan.augment.observe = spy
        window = 4 * counts
        logs = run(gan, wrappers, range(5 * window + 1))
        p = r_t = 0.0
        for i, log in enumerate(logs):
            if i and i % window == 0:
                r_t = sum(signs[i - window : i]) / window
                step = 4 * window / 100
                p = max(p + step * ((r_t > 0) - (r_t < 0)), 0.0)
            assert float(log['augment_p']) == pytest.approx(p)
            assert float(log['r_t']) == pytest.approx(r_t)
        assert len({float(log['augment_p']) for log in logs}) > 2
        assert float(gan.augment.num_images) == 4

    @pytest.mark.parametrize('dtype', ['float32', 'float16', 'bfloat16'])
    @pytest.mark.parametrize('counts', [1, 2])
    @pytest.mark.parametrize('value', ['inf', 'nan'])
    def test_a_skipped_window_neither_counts_nor_moves(
        self, dtype, counts, value
    ):
        """The fourth one, at whose end p is adjusted."""
        gan = make_gan(ADAPTIVE)
        wrappers = make_wrappers(gan, dtype, counts)
        run(gan, wrappers, range(3 * counts))
        before = state_of(gan)
        assert before['num_images'] == 3 * 4 * counts
        handle = gan.discriminator.register_forward_hook(
            lambda module, args, out: out * float(value)
        )
        run(gan, wrappers, range(3 * counts, 4 * counts))
        handle.remove()
        assert wrappers['discriminator'].skipped_steps == 1
        r_t = before['signs'] / before['num_images']
        assert torch.equal(gan.augment.r_t, r_t)
        # By the twelve images that count.
        expected = max(float(r_t.sign()) * 12 * counts / 100, 0)
        assert float(gan.augment.p) == pytest.approx(expected)

    def test_windows_that_are_all_skipped_move_nothing(self):
        gan = make_gan(dict(ADAPTIVE, p=0.5))
        wrappers = make_wrappers(gan)
        before = state_of(gan)
        gan.discriminator.register_forward_hook(
            lambda module, args, out: out * float('nan')
        )
        run(gan, wrappers, range(5))
        assert not differences(before, state_of(gan))

    def test_nothing_waits_for_the_device(self):
        class Reads(TorchDispatchMode):
            number = 0

            def __torch_dispatch__(self, func, types, args=(), kwargs=None):
                read = torch.ops.aten._local_scalar_dense.default
                self.number += func is read
                return func(*args, **(kwargs or {}))

        gan = make_gan(dict(ADAPTIVE, p=0.5))
        wrappers = make_wrappers(gan, fused=True)
        run(gan, wrappers, range(1))
        with Reads() as reads:
            run(gan, wrappers, range(1, 9))
        assert reads.number == 0

    @pytest.mark.parametrize('gan_type', ['lsgan', 'wgan'])
    def test_needs_logits_with_a_sign(self, gan_type):
        loss = dict(type='mmamp.GANLoss', gan_type=gan_type)
        with pytest.raises(ValueError, match=f'gan_type={gan_type!r}: give'):
            make_gan(ADAPTIVE, gan_loss=loss)
        make_gan(KINDS['ada'], gan_loss=loss)


def test_other_modules_are_refused():
    with pytest.raises(TypeError, match='augment must be an Augmentation'):
        make_gan(dict(type='mmamp.R1'))
    with pytest.raises(TypeError, match='augment must be a dict'):
        make_gan('ada')


class TestRuns:
    OPTIONS = {
        'model.augment': dict(type='ADA', target=0.0, ada_kimg=0.05, p=0.5),
        'model.disc_regularizers': [dict(type='R1', interval=2)],
        'optim_wrapper.discriminator.accumulative_counts': 2,
        'train_cfg.max_iters': 14,
        'default_hooks.checkpoint.interval': 7,
        'default_hooks.logger.interval': 1,
        'custom_hooks': [dict(type='StateHook')],
    }

    @pytest.mark.parametrize('dtype', ['float32', 'float16', 'bfloat16'])
    def test_resumed_inside_of_a_window_bit_for_bit(
        self, build_runner, tmp_path, dtype
    ):
        """At the seventh of two micro-batches each: 3.5 updates."""
        options = {
            **self.OPTIONS,
            'optim_wrapper.generator.dtype': dtype,
            'optim_wrapper.discriminator.dtype': dtype,
        }
        whole = build_runner('gan', options)
        whole.train()
        found = [
            whole.message_hub.get_scalar(f'train/{name}').data[0]
            for name in ('augment_p', 'r_t')
        ]
        # In both windows' micro-batches; it is adjusted after each fourth.
        assert len(set(found[0][:8].tolist())) == 1
        assert found[0][8] != found[0][0]
        work_dir = tmp_path / 'resumed'
        work_dir.mkdir()
        saved = Path(whole.work_dir, 'iter_7.pth')
        (work_dir / 'iter_7.pth').write_bytes(saved.read_bytes())
        (work_dir / 'last_checkpoint').write_text(str(work_dir / 'iter_7.pth'))
        resumed = build_runner(
            'gan', dict(options, resume=True), work_dir=work_dir
        )
        resumed.train()
        assert not differences(
            whole.model.state_dict(), resumed.model.state_dict()
        )

    def test_float32_to_float16(self, build_runner, tmp_path):
        found = []
        for dtype, iters in (('float32', 10), ('float16', 12)):
            options = {
                **self.OPTIONS,
                'train_cfg.max_iters': iters,
                'default_hooks.checkpoint.interval': 10,
                'optim_wrapper.generator.dtype': dtype,
                'optim_wrapper.discriminator.dtype': dtype,
                'resume': dtype == 'float16',
            }
            runner = build_runner('gan', options, work_dir=tmp_path / 'run')
            runner.train()
            found.append(state_of(runner.model))
        first, then = found
        assert first['p'] != 0.5
        assert torch.equal(then['p'], first['p'])
        assert [x['num_images'] for x in found] == [8, 16]

    def test_compiled(self, build_runner):
        """The discriminator; what comes before it is as it was."""
        options = {
            **self.OPTIONS,
            'optim_wrapper.generator.dtype': 'float32',
            'optim_wrapper.discriminator.dtype': 'float32',
            'train_cfg.max_iters': 6,
        }
        plain = build_runner('gan', options)
        plain.train()
        compiled = build_runner(
            'gan',
            {
                **options,
                'model.compile': dict(discriminator=dict(backend='eager')),
            },
        )
        compiled.train()
        torch._dynamo.reset()
        for name, value in plain.model.state_dict().items():
            torch.testing.assert_close(
                compiled.model.state_dict()[name], value
            )


def train(rank, world_size, counts, saves=False):
    """Twelve updates of eight images, dealt out as torch's samplers do."""
    hub = MessageHub.get_instance(f'{world_size} ranks, {counts} counts')
    hub.update_info('seed', 1)
    hub.update_info('max_iters', 12 * counts)
    gan = make_gan(ADAPTIVE, disc_regularizers=[dict(type='mmamp.R1')])
    model = SeparateDistributedDataParallel(gan) if world_size > 1 else gan
    wrappers = make_wrappers(model, counts=counts)
    states = []
    for i in range(12 * counts):
        hub.update_info('iter', i)
        mine = pictures(i // counts, 8)[rank::world_size].chunk(counts)
        data = dict(inputs=mine[i % counts], data_samples={})
        model.train_step(data, wrappers)
        if saves and i % 3 == 0:
            unify_buffers(model)
        if i % counts == counts - 1:
            states.append([float(gan.augment.p), float(gan.augment.r_t)])
    return torch.tensor(states)


def train_twice(rank, world_size):
    """Without checkpoints in between, and with them."""
    return [train(rank, world_size, 1, saves) for saves in (False, True)]


def test_ranks_are_one(in_ranks):
    """The mean sign is that of all ranks, checkpoints in between or not."""
    whole = train(0, 1, 1)
    assert len(whole[:, 0].unique()) > 2
    torch.testing.assert_close(train(0, 1, 2), whole)
    for found in in_ranks(2, train_twice):
        for states in found:
            torch.testing.assert_close(states, whole)


def averaged(rank, world_size):
    ada = ADA(p=0.3)
    ada.observe(torch.full((2 + rank, 1), 1.0))
    unify_buffers(ada)
    found = [float(x) for x in (ada.p, ada.signs, ada.num_images)]
    ada.adapt(4)
    return [*found, float(ada.p), float(ada.r_t)]


def test_a_checkpoint_has_the_mean_of_the_ranks(in_ranks):
    for found in in_ranks(3, averaged):
        assert found[:3] == pytest.approx([0.3, 3, 3])
        # Nine images of all ranks, of 500,000.
        assert found[3:] == pytest.approx([0.3 + 9 / 500_000, 1.0])
