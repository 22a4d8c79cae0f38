"""Turns of the two sides: who is frozen, and how often a side is updated."""

import copy
import io
import pickle
from itertools import pairwise

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.registry import MODELS
from mmengine.runner import Runner
from torch import nn

from mmamp import AmpOptimWrapper, BaseGAN, ImageGAN, OptimWrapperConstructor

DTYPES = ['float32', 'bfloat16', 'float16']


def images(value=200):
    return dict(inputs=torch.full((8, 1, 2, 2), value, dtype=torch.uint8))


def flat(*sizes):
    layers = [nn.Linear(a, b) for a, b in pairwise(sizes)]
    return nn.Sequential(nn.Flatten(), *layers)


class Squares(BaseGAN):
    """Each side on its own, so that it is plain what an update does."""

    def disc_loss(self, inputs, data_samples, optimizer_wrapper):
        pred = self.discriminator(inputs).float()
        return dict(loss_disc=(pred - 3).square().mean())

    def gen_loss(self, inputs, data_samples, optimizer_wrapper):
        return dict(
            loss_gen=self.generator(inputs).float().square().mean(),
            size=torch.ones(()),
        )


def train_both(name, model_class=Squares):
    """A class of GANs that run a method on both sides."""

    def decorate(method):
        def run(loss):
            def train(self, *args):
                return method(self, getattr(self, loss), *args)

            return train

        methods = dict(
            train_discriminator=run('disc_loss'),
            train_generator=run('gen_loss'),
        )
        return type(name, (model_class,), methods)

    return decorate


def twice(self, loss, inputs, data_samples, wrapper):
    for i in range(2):
        losses = loss(inputs, data_samples, wrapper)
        yield {f'{key}_{i}': value for key, value in losses.items()}


def by_itself(self, loss, inputs, data_samples, wrapper):
    logs = {}
    for i in range(2):
        losses = loss(inputs, data_samples, wrapper)
        total, _ = self.parse_losses(losses)
        wrapper.update_params(total)
        logs |= {f'{key}_{i}': value for key, value in losses.items()}
    return logs


Twice = train_both('Twice')(twice)
ByItself = train_both('ByItself')(by_itself)


def build(cls=Squares, wrapper=AmpOptimWrapper, counts=1, **kwargs):
    torch.manual_seed(0)
    model = cls(flat(4, 1), flat(4, 1), ema_config=dict(momentum=0.5))
    wrappers = OptimWrapperDict(
        **{
            role: wrapper(
                optimizer=torch.optim.SGD(
                    getattr(model, role).parameters(), lr=0.01
                ),
                accumulative_counts=counts,
                **kwargs,
            )
            for role in ('generator', 'discriminator')
        }
    )
    return model, wrappers


def train(model, wrappers, num, max_iters=-1, start=0):
    hub = MessageHub.get_current_instance()
    hub.update_info('max_iters', max_iters)
    logs = []
    for i in range(start, start + num):
        hub.update_info('iter', i)
        logs.append(model.train_step(images(10 * i), wrappers))
    return logs


def parameters(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


class TestSeveralUpdates:
    @pytest.mark.parametrize('dtype', DTYPES)
    def test_each_sees_the_weights_of_the_one_before(self, dtype):
        model, wrappers = build(Twice, dtype=dtype, loss_scale=64.0)
        other, plain = build(Twice, wrapper=OptimWrapper)
        for found, expected in zip(
            train(model, wrappers, 3), train(other, plain, 3), strict=True
        ):
            assert set(found) == {
                *('loss_disc_0', 'loss_disc_1', 'loss_gen_0', 'loss_gen_1'),
                *('size_0', 'size_1'),
            }
            for key, value in expected.items():
                torch.testing.assert_close(
                    found[key], value, rtol=0.02, atol=0.01
                )
            assert found['loss_disc_1'] < 0.99 * found['loss_disc_0']

    def test_are_those_of_a_loop_by_hand(self):
        model, wrappers = build(Twice, dtype='float32')
        other = copy.deepcopy(model)
        train(model, wrappers, 3)
        for i in range(3):
            pixels = (images(10 * i)['inputs'] - 127.5) / 127.5
            for network, goal in (
                (other.discriminator, 3),
                (other.generator, 0),
            ):
                sgd = torch.optim.SGD(network.parameters(), lr=0.01)
                for _ in range(2):
                    sgd.zero_grad()
                    (network(pixels) - goal).square().mean().backward()
                    sgd.step()
        for role in ('generator', 'discriminator'):
            assert torch.equal(
                parameters(getattr(model, role)),
                parameters(getattr(other, role)),
            )

    @pytest.mark.parametrize('cls', [Twice, ByItself])
    def test_each_is_counted_by_the_wrapper(self, cls):
        model, wrappers = build(cls, dtype='float32')
        train(model, wrappers, 3)
        assert [w.inner_count for w in wrappers.values()] == [6, 6]

    def test_each_advances_the_average(self):
        model, wrappers = build(Twice, dtype='float32')
        train(model, wrappers, 3)
        assert int(model.generator_ema.steps) == 6

    @pytest.mark.parametrize('wrapper', [OptimWrapper, AmpOptimWrapper])
    def test_make_one_of_a_window(self, wrapper):
        """Windows have so many micro-batches, the last one what is left."""

        @train_both('Sum')
        def summed(self, loss, inputs, data_samples, wrapper):
            first, second = twice(self, loss, inputs, data_samples, wrapper)
            return first | second

        found = {}
        for cls in (Twice, summed):
            model, wrappers = build(cls, wrapper, counts=2)
            steps = []
            for w in wrappers.values():
                w.optimizer.register_step_post_hook(
                    lambda *_, steps=steps: steps.append(1)
                )
            logs = train(model, wrappers, 5, max_iters=5)
            found[cls] = parameters(model), logs
            assert len(steps) == 2 * 3
            assert int(model.generator_ema.steps) == 3
            assert all(p.grad is None for p in model.parameters())
        (params, logs), (expected, expected_logs) = found.values()
        assert torch.equal(params, expected)
        assert logs == expected_logs

    def test_a_resumed_run_goes_on_with_their_count(self):
        model, wrappers = build(Twice, dtype='float32')
        train(model, wrappers, 3, max_iters=6)
        saved = MessageHub.get_current_instance().state_dict()
        MessageHub.get_instance('resumed')
        model, wrappers = build(Twice, dtype='float32')
        MessageHub.get_current_instance().load_state_dict(saved)
        train(model, wrappers, 1, max_iters=6, start=3)
        assert [w.inner_count for w in wrappers.values()] == [8, 8]

    def test_what_updates_itself_is_logged_and_told(self, mm_log):
        model, wrappers = build(ByItself, dtype='float32')
        other, plain = build(Twice, dtype='float32')
        logs = train(model, wrappers, 2)
        assert logs == train(other, plain, 2)
        for role in ('generator', 'discriminator'):
            assert torch.equal(
                parameters(getattr(model, role)),
                parameters(getattr(other, role)),
            )
        assert mm_log().count('makes its updates itself') == 2


class TestWrongLosses:
    @pytest.mark.parametrize(
        ('found', 'error', 'text'),
        [
            (torch.ones(()), TypeError, 'dict of losses.*but got Tensor'),
            (None, TypeError, 'dict of losses.*but got NoneType'),
            (dict(adv=1.0), ValueError, "nothing to train on among 'adv'"),
            ({}, ValueError, 'among no losses'),
            (iter([torch.ones(())]), TypeError, 'but got Tensor'),
        ],
    )
    def test_are_refused(self, found, error, text):
        class Wrong(Squares):
            def train_discriminator(self, *args):
                return found

        with pytest.raises(error, match=text):
            train(*build(Wrong), 1)


class Shared(nn.Module):
    def __init__(self, encoder, out, tied=None):
        super().__init__()
        self.encoder = encoder
        self.body = nn.Linear(4, out)
        if tied is not None:
            self.body.weight = tied

    def forward(self, x):
        return self.body(self.encoder(x.flatten(1)))


class TestSharedModules:
    """In their owner's turn they are trained, in the other's frozen."""

    def build(self, owner, counts, tied):
        torch.manual_seed(0)
        encoder = nn.Linear(4, 4)
        generator = Shared(encoder, 4)
        weight = generator.body.weight if tied else None
        model = Squares(generator, Shared(encoder, 4, weight))
        (other,) = {'generator', 'discriminator'} - {owner}
        others = [getattr(model, other).body.bias]
        if not tied:
            others.append(getattr(model, other).body.weight)
        params = {owner: getattr(model, owner).parameters(), other: others}
        return model, OptimWrapperDict(
            **{
                role: AmpOptimWrapper(
                    torch.optim.SGD(found, lr=0.1),
                    dtype='float32',
                    accumulative_counts=counts,
                )
                for role, found in params.items()
            }
        )

    @pytest.mark.parametrize('owner', ['generator', 'discriminator'])
    @pytest.mark.parametrize('counts', [1, 2])
    @pytest.mark.parametrize('tied', [False, True])
    def test_are_trained_by_their_owner_alone(self, owner, counts, tied):
        model, wrappers = self.build(owner, counts, tied)
        shared = [model.generator.encoder.weight]
        if tied:
            shared.append(model.generator.body.weight)
        before = [p.detach().clone() for p in shared]
        turns = {}

        def watch(role, method):
            def train(*args):
                turns[role] = [p.requires_grad for p in shared]
                return method(*args)

            setattr(model, f'train_{role}', train)

        for role in ('generator', 'discriminator'):
            watch(role, getattr(model, f'train_{role}'))
        train(model, wrappers, 2)
        for role, trains in turns.items():
            assert all(x is (role == owner) for x in trains), role
        for param, old in zip(shared, before, strict=True):
            assert not torch.equal(param, old)
            assert param.grad is None
            assert param.requires_grad

    def test_of_a_network_beside_the_two(self):
        """The generator's optimizer has it, and both losses."""

        class Encoded(Squares):
            def __init__(self, *args):
                super().__init__(*args)
                self.encoder = flat(4, 4)
                self.grads = []

            def disc_loss(self, inputs, *args):
                return super().disc_loss(self.encoder(inputs), *args)

            def gen_loss(self, inputs, *args):
                self.grads.append(self.encoder[1].weight.grad)
                return super().gen_loss(self.encoder(inputs), *args)

        torch.manual_seed(0)
        model = Encoded(flat(4, 1), flat(4, 1))
        entry = dict(
            type='mmamp.AmpOptimWrapper',
            dtype='float32',
            optimizer=dict(type='SGD', lr=0.1),
        )
        wrappers = OptimWrapperConstructor(
            dict(
                generator=dict(modules=['generator', 'encoder'], **entry),
                discriminator=entry,
            )
        )(model)
        before = model.encoder[1].weight.detach().clone()
        train(model, wrappers, 2)
        assert model.grads == [None, None]
        assert not torch.equal(model.encoder[1].weight, before)

    def test_of_both_optimizers_are_trained_in_both_turns(self):
        torch.manual_seed(0)
        encoder = nn.Linear(4, 4)
        model = Squares(Shared(encoder, 4), Shared(encoder, 1))
        wrappers = OptimWrapperDict(
            **{
                role: OptimWrapper(
                    torch.optim.SGD(getattr(model, role).parameters(), lr=0.1)
                )
                for role in ('generator', 'discriminator')
            }
        )
        weights = [encoder.weight.detach().clone()]
        for wrapper in wrappers.values():
            wrapper.optimizer.register_step_post_hook(
                lambda *_: weights.append(encoder.weight.detach().clone())
            )
        train(model, wrappers, 1)
        assert len(weights) == 3
        assert not torch.equal(weights[0], weights[1])
        assert not torch.equal(weights[1], weights[2])


def pickled(model):
    return pickle.loads(pickle.dumps(model))


def saved(model):
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


class TestCopies:
    """Of a model that is in the middle of its training."""

    @pytest.mark.parametrize('copied', [pickled, saved, copy.deepcopy])
    @pytest.mark.parametrize('wrapper', [OptimWrapper, AmpOptimWrapper])
    def test_train_like_the_model(self, copied, wrapper, monkeypatch):
        # A launcher that ran in this process may have set it.
        monkeypatch.delenv('TORCH_FORCE_WEIGHTS_ONLY_LOAD', raising=False)
        model, wrappers = build(wrapper=wrapper)
        train(model, wrappers, 2)
        found = copied(model)
        assert torch.equal(parameters(found), parameters(model))
        _, others = build(wrapper=wrapper)
        for role, other in others.items():
            other.optimizer.param_groups[0]['params'] = list(
                getattr(found, role).parameters()
            )
        for each, its in ((model, wrappers), (found, others)):
            each.train_step(images(), its)
        assert torch.equal(parameters(found), parameters(model))

    def test_hold_no_optimizer(self):
        model, wrappers = build()
        size = len(pickle.dumps(model))
        train(model, wrappers, 2)
        assert len(pickle.dumps(model)) < 1.05 * size


class TestRunsOfOneProcess:
    """The message hub is the process's: a run that is over steers none."""

    def loop(self, model, wrappers=None):
        wrappers = wrappers or OptimWrapperDict(
            **{
                role: AmpOptimWrapper(
                    torch.optim.SGD(getattr(model, role).parameters(), lr=0.1),
                    dtype='float32',
                )
                for role in ('generator', 'discriminator')
            }
        )
        for _ in range(4):
            model.train_step(
                dict(inputs=torch.zeros(4, 1, 8, 8, dtype=torch.uint8)),
                wrappers,
            )
        return [
            parameters(model),
            *(wrappers[x].inner_count for x in ('discriminator', 'generator')),
        ]

    def model(self, runner):
        torch.manual_seed(5)
        cfg = copy.deepcopy(runner.cfg.model)
        cfg.discriminator_steps = 2
        return MODELS.build(cfg)

    @pytest.mark.parametrize('raises', [False, True])
    @pytest.mark.parametrize('is_older', [False, True])
    def test_a_loop_after_a_run(self, build_runner, raises, is_older):
        runner = build_runner(
            'gan', {'train_cfg.max_iters': 3, 'randomness.seed': 1}
        )
        if raises and is_older:
            pytest.skip('looks like the run of that model')
        fresh = self.loop(self.model(runner))
        older = self.model(runner) if is_older else None
        if raises:
            step = runner.model.train_step

            def fails(*args, **kwargs):
                step(*args, **kwargs)
                if runner.iter == 1:
                    raise KeyboardInterrupt

            runner.model.train_step = fails
            with pytest.raises(KeyboardInterrupt):
                runner.train()
        else:
            runner.train()
        model = older or self.model(runner)
        torch.manual_seed(5)
        found = self.loop(model)
        assert found[1:] == fresh[1:] == [4, 2]
        assert torch.equal(found[0], fresh[0])

    def test_a_run_after_a_run_of_its_name(self, build_runner, monkeypatch):
        """Which MMEngine gives the same message hub, all in one second."""
        monkeypatch.setattr(
            'mmengine.runner.runner.time.strftime', lambda *_: 'now'
        )

        hook = {'custom_hooks': [dict(type='StateHook')]}
        whole = build_runner('gan', {'train_cfg.max_iters': 4, **hook})
        whole.train()
        first = build_runner('gan', {'train_cfg.max_iters': 3})
        first.train()
        cfg = copy.deepcopy(whole.cfg)
        cfg.experiment_name = first.cfg.experiment_name
        cfg.load_from, cfg.resume = f'{whole.work_dir}/iter_2.pth', True
        again = Runner.from_cfg(cfg)
        assert again.message_hub is first.message_hub
        again.train()
        assert torch.equal(parameters(again.model), parameters(whole.model))

    def test_the_runs_model_goes_on_in_a_loop(self, build_runner):
        """With the optimizers of the run: it counts on."""
        runner = build_runner('gan', {'train_cfg.max_iters': 3})
        runner.train()
        found = self.loop(runner.model, runner.optim_wrapper)
        assert found[1:] == [7, 7]


def test_is_an_image_gan_too():
    """Samples of two updates on a micro-batch are others."""
    drawn = []

    class Two(ImageGAN):
        def train_discriminator(self, *args):
            for _ in range(2):
                yield self.disc_loss(*args)

        def _generate(self, random):
            noise, _ = self.draw_latents(random)
            drawn.append(noise)
            return self.generator(noise), None

    torch.manual_seed(0)
    model = Two(
        nn.Sequential(nn.Linear(2, 4), nn.Unflatten(1, (1, 2, 2))),
        flat(4, 1),
        noise_size=2,
    )
    wrappers = OptimWrapperDict(
        **{
            role: AmpOptimWrapper(
                torch.optim.SGD(getattr(model, role).parameters(), lr=0.1)
            )
            for role in ('generator', 'discriminator')
        }
    )
    train(model, wrappers, 2)
    latents = [noise.tolist() for noise in drawn]
    assert len(latents) == 6
    assert all(latents.count(x) == 1 for x in latents)
