import copy
import pickle
from contextlib import contextmanager
from functools import partial

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.registry import MODELS
from sam import SAM
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.utils._python_dispatch import TorchDispatchMode

from mmamp import AmpOptimWrapper, BaseGAN
from mmamp.errors import UsageError
from mmamp.models.gans.image_gan import ImageGAN
from mmamp.models.losses.gradient_penalties import R1
from mmamp.randomness.samples import SampleRandom


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(5, 16)
        self.norm = nn.BatchNorm1d(16)

    def forward(self, noise):
        return self.norm(self.linear(noise)).tanh().view(-1, 1, 4, 4)


class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = spectral_norm(nn.Conv2d(1, 4, 3))
        self.norm = nn.BatchNorm2d(4)
        self.linear = nn.Linear(16, 1)

    def forward(self, images):
        return self.linear(self.norm(self.conv(images)).flatten(1))


def latents(gan, stream, update):
    return gan.draw_latents(SampleRandom('cpu', 6, stream, update))[0]


def make_gan(**kwargs):
    torch.manual_seed(0)
    return ImageGAN(
        Generator(), Discriminator(), noise_size=5, **kwargs
    ).train()


def make_wrappers(model, disc=1, gen=1, wrapper=AmpOptimWrapper, **kwargs):
    def build(network, counts):
        return wrapper(
            optimizer=torch.optim.Adam(network.parameters(), lr=0.01),
            accumulative_counts=counts,
            **kwargs,
        )

    return OptimWrapperDict(
        generator=build(model.generator, gen),
        discriminator=build(model.discriminator, disc),
    )


def run(model, wrappers, num, max_iters=None, start=0, poison=()):
    """As MMEngine's loop and its RuntimeInfoHook do."""
    hub = MessageHub.get_current_instance()
    hub.update_info('seed', 1)
    hub.update_info('max_iters', max_iters or start + num)
    logs = []
    for i in range(start, start + num):
        hub.update_info('iter', i)
        generator = torch.Generator().manual_seed(i)
        images = torch.randint(
            0, 256, (6, 1, 4, 4), generator=generator, dtype=torch.uint8
        )
        if i in poison:
            images = images.float() * float(poison[i])
        logs.append(model.train_step(dict(inputs=images), wrappers))
    return logs


class Recorder(ImageGAN):
    """Writes down who trains."""

    def train_discriminator(self, inputs, data_samples, optimizer_wrapper):
        self.turns += 'd'
        return super().train_discriminator(
            inputs, data_samples, optimizer_wrapper
        )

    def train_generator(self, inputs, data_samples, optimizer_wrapper):
        self.turns += 'g'
        return super().train_generator(inputs, data_samples, optimizer_wrapper)


class TestSchedule:
    @pytest.mark.parametrize(
        ('disc', 'gen', 'counts', 'num', 'turns'),
        [
            (1, 1, (1, 1), 3, 'dgdgdg'),
            (2, 1, (1, 1), 4, 'ddgddg'),
            (1, 2, (1, 1), 2, 'dggdgg'),
            (1, 1, (3, 2), 6, 'dddggdddgg'),
            (2, 2, (2, 2), 4, 'ddddgggg'),
            # max_iters in the middle of a cycle
            (1, 1, (4, 4), 6, 'ddddggggddgg'),
            (2, 1, (2, 4), 7, 'ddddggggdddggg'),
        ],
    )
    def test_order(self, disc, gen, counts, num, turns):
        model = Recorder(
            Generator(),
            Discriminator(),
            noise_size=5,
            discriminator_steps=disc,
            generator_steps=gen,
        )
        model.turns = ''
        wrappers = make_wrappers(model, *counts)
        run(model, wrappers, num)
        assert model.turns == turns
        for wrapper in wrappers.values():
            assert wrapper.should_update()  # nothing is left unstepped

    @pytest.mark.parametrize('wrapper', [OptimWrapper, AmpOptimWrapper])
    def test_last_short_window_of_both_is_weighted_right(self, wrapper):
        """6 iterations at accumulation 4: windows of 4 and of 2."""
        weights = {'discriminator': [], 'generator': []}
        model = make_gan()
        wrappers = make_wrappers(model, 4, 4, wrapper)
        for name, w in wrappers.items():
            scale_loss = w.scale_loss

            def record(loss, scale_loss=scale_loss, name=name):
                scaled = scale_loss(loss)
                weights[name].append(
                    round(float(scaled.detach() / loss.detach()), 4)
                )
                return scaled

            w.scale_loss = record
        run(model, wrappers, 6)
        expected = [0.25] * 4 + [0.5] * 2
        assert weights == dict(discriminator=expected, generator=expected)

    def test_resumed_run_goes_on_in_the_schedule(self):
        model = make_gan(discriminator_steps=2)
        wrappers = make_wrappers(model, 2, 3)
        run(model, wrappers, 4, max_iters=12, start=4)
        assert wrappers['discriminator'].inner_count == 8
        assert wrappers['generator'].inner_count == 6

    def test_without_a_runner(self):
        """A user's own loop: nothing in the message hub."""
        model, wrappers = (m := make_gan()), make_wrappers(m, 2, 2)
        for _ in range(4):
            logs = model.train_step(
                dict(inputs=torch.zeros(4, 1, 4, 4)), wrappers
            )
        assert wrappers['generator'].inner_count == 4
        assert set(logs) == {'loss_disc_fake', 'loss_disc_real', 'loss_gen'}

    def test_new_wrappers_begin_a_new_run(self):
        model = make_gan()
        for _ in range(2):
            wrappers = make_wrappers(model, 2, 2)
            run(model, wrappers, 4)
            assert wrappers['discriminator'].inner_count == 4

    @pytest.mark.parametrize('value', [0, -1, 1.5, '2', True])
    def test_bad_steps(self, value):
        with pytest.raises(ValueError, match='discriminator_steps'):
            make_gan(discriminator_steps=value)
        with pytest.raises(ValueError, match='generator_steps'):
            make_gan(generator_steps=value)


class TestIsolation:
    def test_a_step_leaves_no_gradient_in_the_other_network(self):
        class Leaky(ImageGAN):
            """Forgets `no_grad` around the generator."""

            def disc_loss(self, inputs, data_samples, optimizer_wrapper):
                fake, _ = self._generate(self.random(len(inputs), 0, (0, 0)))
                return dict(loss_disc=self.discriminator(fake).mean())

            def train_discriminator(self, *args):
                logs = super().train_discriminator(*args)
                assert all(p.grad is None for p in self.generator.parameters())
                return logs

            def train_generator(self, *args):
                logs = super().train_generator(*args)
                discriminator = self.discriminator.parameters()
                assert all(p.grad is None for p in discriminator)
                return logs

        model = Leaky(Generator(), Discriminator(), noise_size=5)
        run(model, make_wrappers(model), 2)

    def test_what_the_user_froze_stays_frozen(self):
        model = make_gan()
        model.discriminator.conv.bias.requires_grad_(False)
        bias = model.discriminator.conv.bias.clone()
        run(model, make_wrappers(model), 3)
        assert not model.discriminator.conv.bias.requires_grad
        assert torch.equal(model.discriminator.conv.bias, bias)
        assert model.discriminator.linear.bias.requires_grad


class TestMode:
    class AlwaysEvaluating(nn.Module):
        asked = 0

        def train(self, mode=True):
            self.asked += 1
            return super().train(False)

    def test_every_module_takes_it(self):
        model = make_gan()
        model.generator.norm.eval()
        assert model.train() is model
        assert all(m.training for m in model.modules())
        model.discriminator.conv.eval()
        model.eval()
        assert not any(m.training for m in model.modules())

    def test_a_module_that_has_its_own_idea_is_asked(self):
        model = make_gan()
        model.discriminator.frozen = self.AlwaysEvaluating()
        model.train()
        model.train()
        assert model.discriminator.frozen.asked == 2
        assert not model.discriminator.frozen.training

    def test_one_whose_train_was_replaced_is_asked(self):
        model = make_gan()
        asked = []
        model.generator.norm.train = asked.append
        model.train()
        assert asked == [True]

    def test_nothing_is_set_again(self, monkeypatch):
        model = make_gan()
        monkeypatch.setattr(Generator, '__setattr__', None)
        model.train()

    def test_no_mode(self):
        with pytest.raises(ValueError, match='boolean'):
            make_gan().train(1)


class TestLosses:
    @pytest.mark.parametrize(
        'losses',
        [
            dict(loss_a=torch.tensor(3.0), loss_b=torch.tensor(0.25)),
            dict(score=torch.tensor(3.0), loss_b=torch.tensor(0.25)),
            dict(loss=torch.tensor(3.0), my_loss=torch.tensor(0.25)),
            dict(loss_a=torch.arange(4.0), loss_b=torch.tensor(0.25)),
            dict(loss_a=torch.arange(4.0), b=torch.ones(2)),
            dict(score=torch.tensor(3.0)),
            {},
        ],
    )
    @pytest.mark.parametrize('computed', [True, False])
    def test_are_summed_as_mmengine_does(self, losses, computed):
        if computed:
            one = torch.ones((), requires_grad=True)
            losses = {key: value * one for key, value in losses.items()}
        total, logs = BaseModel.parse_losses(make_gan(), losses)
        found, found_logs = make_gan().parse_losses(losses)
        assert found == total
        assert list(found_logs.items()) == list(logs.items())

    def test_of_one_number_is_that_number(self):
        loss = torch.ones((), requires_grad=True) * 2
        found, _ = make_gan().parse_losses(dict(loss_gen=loss))
        assert found is loss

    def test_a_number_that_the_model_keeps_is_copied(self):
        loss = torch.ones((), requires_grad=True) * 2
        kept = torch.tensor(3.0)
        _, logs = make_gan().parse_losses(dict(loss_gen=loss, length=kept))
        kept.zero_()
        assert logs['length'] == 3

    def test_an_integer_is_an_error_at_once(self):
        loss = torch.ones((), requires_grad=True) * 2
        with pytest.raises(RuntimeError, match='dtype'):
            make_gan().parse_losses(dict(loss_gen=loss, n=torch.tensor(3)))

    def test_neither_tensor_nor_list(self):
        with pytest.raises(TypeError, match='loss_a is not a tensor or list'):
            make_gan().parse_losses(dict(loss_a='1'))


class TestLogs:
    class Linear(BaseGAN):
        key = 'loss'

        def disc_loss(self, inputs, data_samples, optimizer_wrapper):
            loss = self.discriminator(inputs).mean() * 0
            return {self.key: loss + 100, 'loss_disc': loss}

        def gen_loss(self, inputs, data_samples, optimizer_wrapper):
            return {self.key: self.generator(inputs).mean() * 0 + 1}

    @pytest.mark.parametrize('key', ['loss', 'loss_adv'])
    def test_of_one_name_are_told_apart(self, key):
        model = self.Linear(
            nn.Linear(4, 4),
            nn.Linear(4, 1),
            data_preprocessor=dict(type='BaseDataPreprocessor'),
            discriminator_steps=2,
        )
        model.key = key
        wrappers = make_wrappers(model, dtype='float32')
        both = {f'discriminator.{key}', 'loss_disc', f'generator.{key}'}
        expected = [{key, 'loss_disc'}, both, both - {f'generator.{key}'}]
        for names in expected:
            logs = model.train_step(dict(inputs=torch.ones(2, 4)), wrappers)
            assert set(logs) == names
            for name, value in logs.items():
                if name != 'loss_disc':
                    by_generator = name.startswith('generator')
                    assert value == (1 if by_generator else 100)

    def test_the_sum_is_not_logged(self):
        model = make_gan()
        (logs,) = run(model, make_wrappers(model), 1)
        assert set(logs) == {'loss_disc_fake', 'loss_disc_real', 'loss_gen'}


class TestNonFinite:
    @pytest.mark.parametrize('dtype', ['float32', 'bfloat16', 'float16'])
    @pytest.mark.parametrize('value', ['inf', 'nan'])
    @pytest.mark.parametrize('counts', [1, 2])
    def test_a_skipped_window_leaves_no_trace(self, dtype, value, counts):
        """Parameters, buffers, EMA; then ten good steps."""
        model = make_gan(ema_config=dict(momentum=0.1))
        wrappers = make_wrappers(
            model,
            counts,
            counts,
            dtype=dtype,
            loss_scale=dict(init_scale=64.0),
        )
        run(model, wrappers, 2 * counts, max_iters=100)
        before = copy.deepcopy(model.state_dict())
        start = 2 * counts

        # Every micro-batch of the generator and of the discriminator goes
        # through this layer.
        bias = model.discriminator.linear.bias
        kept = bias.detach().clone()
        handle = model.discriminator.register_forward_hook(
            lambda module, args, out: out * float(value)
        )
        run(model, wrappers, counts, max_iters=100, start=start)
        handle.remove()

        assert torch.equal(bias, kept)
        for key, tensor in model.state_dict().items():
            assert torch.equal(tensor, before[key]), key
        for wrapper in wrappers.values():
            assert wrapper.record.skipped == 1
            if dtype == 'float16':
                assert wrapper.loss_scaler.get_scale() == 32

        run(model, wrappers, 10 * counts, max_iters=100, start=start + counts)
        for key, tensor in model.state_dict().items():
            assert torch.isfinite(tensor).all(), key
        assert not torch.equal(bias, kept)
        steps = model.generator_ema.steps
        assert steps == before['generator_ema.steps'] + 10
        for wrapper in wrappers.values():
            assert wrapper.record.skipped == 1

    def test_a_bad_picture_costs_one_discriminator_window(self):
        model = make_gan()
        wrappers = make_wrappers(model, dtype='bfloat16')
        run(model, wrappers, 6, poison={2: 'nan'})
        assert wrappers['discriminator'].record.skipped == 1
        assert wrappers['generator'].record.skipped == 0
        for key, tensor in model.state_dict().items():
            assert torch.isfinite(tensor).all(), key


class TestEMA:
    def test_advances_with_each_generator_update(self):
        model = make_gan(generator_steps=3, ema_config=dict(momentum=0.5))
        run(model, make_wrappers(model, 2, 2), 4)
        assert int(model.generator_ema.steps) == 2 * 3

    def test_is_the_average(self):
        model = make_gan(ema_config=dict(momentum=0.5))
        wrappers = make_wrappers(model)
        run(model, wrappers, 1)
        first = model.generator.linear.weight.detach().clone()
        run(model, wrappers, 1, start=1)
        second = model.generator.linear.weight
        torch.testing.assert_close(
            model.generator_ema.module.linear.weight, (first + second) / 2
        )

    def test_is_a_copy_until_it_starts(self):
        model = make_gan(ema_config=dict(momentum=0.5, start_iter=2))
        wrappers = make_wrappers(model, 2, 2)
        weights = []
        for update in range(4):
            run(model, wrappers, 2, start=2 * update)
            weights.append(model.generator.linear.weight.detach().clone())
            average = model.generator_ema.module.linear.weight
            if update < 2:
                torch.testing.assert_close(average, weights[update])
        third = (weights[1] + weights[2]) / 2
        torch.testing.assert_close(average, (third + weights[3]) / 2)

    @pytest.mark.parametrize('wrapper', [AmpOptimWrapper, OptimWrapper])
    def test_advances_with_each_of_several_updates(self, wrapper):
        class Several(ImageGAN):
            def train_generator(self, inputs, data_samples, optimizer_wrapper):
                for _ in range(3):
                    with optimizer_wrapper.optim_context(self.generator):
                        losses = self.gen_loss(
                            inputs, data_samples, optimizer_wrapper
                        )
                    loss = losses['loss_gen']
                    optimizer_wrapper.update_params(loss)
                return losses

        class Yielding(ImageGAN):
            def train_generator(self, *args):
                for _ in range(3):
                    yield self.gen_loss(*args)

        gans = []
        for cls in (Several, Yielding):
            torch.manual_seed(0)
            gan = cls(
                Generator(),
                Discriminator(),
                noise_size=5,
                ema_config=dict(momentum=0.5),
            ).train()
            run(gan, make_wrappers(gan, wrapper=wrapper), 2)
            gans.append(gan)
        for name, value in gans[0].generator_ema.state_dict().items():
            assert torch.equal(gans[1].generator_ema.state_dict()[name], value)
        assert gans[0].generator_ema.steps == 6

    @pytest.mark.parametrize('start_iter', [0, 3])
    def test_the_device_decides(self, start_iter):
        """It comes to the same, and nothing waits for it."""

        class Reads(TorchDispatchMode):
            number = 0

            def __torch_dispatch__(self, func, types, args=(), kwargs=None):
                read = torch.ops.aten._local_scalar_dense.default
                self.number += func is read
                return func(*args, **(kwargs or {}))

        class Now(ImageGAN):
            def gen_loss(self, *args):
                losses = super().gen_loss(*args)
                self.updates = getattr(self, 'updates', 0) + 1
                if self.updates in (1, 4):
                    losses['loss_gen'] = losses['loss_gen'] * float('inf')
                return losses

        states = []
        for fused in (None, True):
            torch.manual_seed(0)
            gan = Now(
                Generator(),
                Discriminator(),
                noise_size=5,
                ema_config=dict(momentum=0.25, start_iter=start_iter),
            ).train()
            wrappers = OptimWrapperDict(
                **{
                    name: AmpOptimWrapper(
                        torch.optim.Adam(
                            getattr(gan, name).parameters(), fused=fused
                        ),
                        dtype='float32',
                    )
                    for name in ('generator', 'discriminator')
                }
            )
            run(gan, wrappers, 1, max_iters=7)
            with Reads() as reads:
                run(gan, wrappers, 6, start=1)
            assert bool(reads.number) is not bool(fused)
            assert wrappers['generator'].skipped_steps == 2
            states.append(gan.generator_ema.state_dict())
        for name, value in states[0].items():
            assert torch.equal(states[1][name], value), name

    def test_its_interval_begins_where_it_starts(self):
        model = make_gan(
            ema_config=dict(momentum=0.5, start_iter=2, interval=2)
        )
        wrappers = make_wrappers(model)
        run(model, wrappers, 2)
        first = model.generator.linear.weight.detach().clone()
        run(model, wrappers, 1, start=2)
        average = model.generator_ema.module.linear.weight
        torch.testing.assert_close(average, first)
        run(model, wrappers, 1, start=3)
        last = model.generator.linear.weight
        torch.testing.assert_close(average, (first + last) / 2)

    def test_a_start_before_the_beginning_is_an_error(self):
        with pytest.raises(ValueError, match='start_iter must be an int >= 0'):
            make_gan(ema_config=dict(momentum=0.5, start_iter=-1))

    def test_type_may_be_named(self):
        model = make_gan(ema_config=dict(type='StochasticWeightAverage'))
        assert type(model.generator_ema).__name__ == 'StochasticWeightAverage'


class TestWrappers:
    def test_one_optimizer_for_both_is_an_error(self):
        model = make_gan()
        wrapper = OptimWrapper(torch.optim.Adam(model.parameters()))
        with pytest.raises(TypeError, match='OptimWrapperConstructor'):
            run(model, wrapper, 1)

    def test_missing_optimizer_is_an_error(self):
        model = make_gan()
        wrappers = make_wrappers(model)
        del wrappers.optim_wrappers['generator']
        with pytest.raises(ValueError, match=r"generator.*'discriminator'"):
            run(model, wrappers, 1)

    def test_float32_is_plain_torch(self):
        """Parity with a hand-written loop, bit for bit."""
        model = make_gan()
        other = copy.deepcopy(model)
        run(model, make_wrappers(model, wrapper=OptimWrapper), 5)

        disc = torch.optim.Adam(other.discriminator.parameters(), lr=0.01)
        gen = torch.optim.Adam(other.generator.parameters(), lr=0.01)
        for i in range(5):
            generator = torch.Generator().manual_seed(i)
            real = torch.randint(
                0, 256, (6, 1, 4, 4), generator=generator, dtype=torch.uint8
            )
            real = (real - 127.5) / 127.5
            with torch.no_grad():
                fake = other.generator(latents(other, 0, i))
            fake_loss = other.gan_loss(other.discriminator(fake), False, True)
            real_loss = other.gan_loss(other.discriminator(real), True, True)
            disc.zero_grad()
            (fake_loss + real_loss).backward()
            disc.step()
            gen.zero_grad()
            fake = other.generator(latents(other, 1, i))
            other.gan_loss(other.discriminator(fake), True).backward()
            gen.step()
        for name, param in model.named_parameters():
            assert torch.equal(param, other.get_parameter(name)), name


class TestSubclass:
    def test_only_the_losses(self):
        class Critic(BaseGAN):
            def disc_loss(self, inputs, data_samples, optimizer_wrapper):
                noise = torch.randn(len(inputs), 5)
                with torch.no_grad():
                    fake = self.generator(noise)
                margin = (
                    self.discriminator(inputs).mean()
                    - self.discriminator(fake).mean()
                )
                return dict(loss_disc=-margin, margin=margin)

            def gen_loss(self, inputs, data_samples, optimizer_wrapper):
                noise = torch.randn(len(inputs), 5)
                return dict(
                    loss_gen=-self.discriminator(self.generator(noise)).mean()
                )

            def forward(self, inputs, data_samples=None, mode='tensor'):
                return self.generator(inputs)

        model = Critic(Generator(), Discriminator())
        before = copy.deepcopy(model.state_dict())
        logs = run(model, make_wrappers(model), 2)
        assert set(logs[0]) == {'loss_disc', 'margin', 'loss_gen'}
        assert not torch.equal(
            model.generator.linear.weight, before['generator.linear.weight']
        )

    def test_bad_network(self):
        with pytest.raises(TypeError, match='generator must be a dict'):
            ImageGAN('DCGAN', Discriminator(), noise_size=5)

    def test_built_from_a_config(self):
        cfg = Config(
            dict(
                type='mmamp.ImageGAN',
                noise_size=8,
                generator=dict(
                    type='mmamp.DCGANGenerator',
                    image_size=8,
                    base_channels=2,
                    noise_size=8,
                ),
                discriminator=dict(
                    type='mmamp.DCGANDiscriminator',
                    image_size=8,
                    base_channels=2,
                ),
                memory_format='channels_last',
            )
        )
        model = MODELS.build(cfg._cfg_dict)
        assert isinstance(model, BaseGAN)
        assert model.data_preprocessor.memory_format is torch.channels_last
        weight = model.discriminator.layers[0].conv.weight
        assert weight.is_contiguous(memory_format=torch.channels_last)


def test_a_wrong_name_among_higher_order_networks():
    class Misspelt(ImageGAN):
        higher_order_networks = ('disc',)

    gan = make_gan()
    gan.__class__ = Misspelt
    with pytest.raises(ValueError, match='names disc, but the networks are'):
        run(gan, make_wrappers(gan), 1)


@pytest.mark.parametrize('ema_config', [None, dict(momentum=0.1)])
def test_pickled_after_training(ema_config):
    """As `torch.save(model)` and a spawned process do it."""
    model = ImageGAN(
        nn.Sequential(nn.Linear(2, 4), nn.Unflatten(1, (1, 2, 2))),
        nn.Sequential(nn.Flatten(), nn.Linear(4, 1)),
        noise_size=2,
        ema_config=ema_config,
    )
    run_on = torch.zeros(2, 1, 2, 2, dtype=torch.uint8)
    model.train_step(dict(inputs=run_on), make_wrappers(model))
    twin = pickle.loads(pickle.dumps(model))
    before = copy.deepcopy(twin.state_dict())
    for name, value in model.state_dict().items():
        assert torch.equal(before[name], value), name
    twin.train_step(dict(inputs=run_on), make_wrappers(twin))
    assert any(
        not torch.equal(value, before[name])
        for name, value in twin.state_dict().items()
    )


class Yielding(Recorder):
    def train_discriminator(self, *args):
        yield super().train_discriminator(*args)


class TestLossesThatAreComputedAgain:
    def wrappers(self, gan, dtype):
        made = make_wrappers(gan, gen=2, dtype=dtype, loss_scale=512.0)
        for name, network in (
            ('generator', gan.generator),
            ('discriminator', gan.discriminator),
        ):
            made.optim_wrappers[name] = AmpOptimWrapper(
                SAM(network.parameters(), lr=0.01),
                dtype=dtype,
                loss_scale=512.0,
                accumulative_counts=2,
            )
        return made

    @pytest.mark.parametrize('dtype', ['float32', 'float16'])
    def test_are_those_of_the_same_latents(self, dtype):
        """Of each network, and of each micro-batch of a window."""
        gan = make_gan()
        wrappers = self.wrappers(gan, dtype)
        seen = {}
        turn = ['']
        for role in ('generator', 'discriminator'):
            wrappers[role].optim_context = partial(
                self.noted, wrappers[role].optim_context, turn, role
            )
        gan.generator.linear.register_forward_hook(
            lambda m, args, out: seen.setdefault(turn[0], []).append(args[0])
        )
        before = gan.discriminator.linear.weight.clone()
        logs = run(gan, wrappers, 4)
        for role in ('generator', 'discriminator'):
            a, b, a_again, b_again, c, d, c_again, d_again = seen[role]
            for one, again in ((a, a_again), (b, b_again), (c, c_again)):
                assert torch.equal(one, again)
            assert torch.equal(d, d_again)
            assert len({float(x.sum()) for x in (a, b, c, d)}) == 4
            assert wrappers[role].record.windows == 2
        assert not torch.equal(gan.discriminator.linear.weight, before)
        assert all(torch.isfinite(v) for log in logs for v in log.values())

    @contextmanager
    def noted(self, context, turn, role, model):
        turn[0] = role
        with context(model):
            yield

    def test_have_the_scales_of_the_same_penalty(self):
        """One pair, whichever time it is computed."""
        gan = make_gan(disc_regularizers=[R1(weight=1.0)])
        wrappers = self.wrappers(gan, 'float16')
        run(gan, wrappers, 4)
        state = wrappers['discriminator'].state_dict()
        assert len(state['penalty_scalers']) == 1
        assert wrappers['discriminator'].record.skipped == 0

    def test_of_a_method_that_yields_are_refused(self):
        gan = Yielding(
            generator=Generator(), discriminator=Discriminator(), noise_size=5
        )
        gan.turns = ''
        with pytest.raises(UsageError, match=r'yields losses, and SAM'):
            run(gan, self.wrappers(gan, 'float32'), 2)
