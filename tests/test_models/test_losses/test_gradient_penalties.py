import pytest
import torch
from quadratic import FAKE, REAL, Quadratic
from torch import nn

from mmamp.models import ImageGAN
from mmamp.models.losses import DRAGAN, R1, R2, WGANGP, PathLength
from mmamp.randomness.samples import SampleRandom
from mmamp.registry import MODELS


def numbers(num=3):
    return SampleRandom('cpu', num, 0, 0)


def norms(x):
    return (3 * x).flatten(1).norm(dim=1)


class TestFormulas:
    def test_r1(self):
        expected = 10 / 2 * norms(REAL).square().mean()
        found = R1()(Quadratic(), (REAL,), (FAKE,))
        torch.testing.assert_close(found, expected)

    def test_r2(self):
        expected = 3 / 2 * norms(FAKE).square().mean()
        found = R2(weight=3)(Quadratic(), (REAL,), (FAKE,))
        torch.testing.assert_close(found, expected)

    def test_wgan_gp_is_between_the_two(self):
        found = WGANGP()(Quadratic(), (REAL,), (FAKE,), random=numbers())
        t = numbers().uniform(1, 1, 1)
        between = REAL * (1 - t) + FAKE * t
        expected = 10 * (norms(between) - 1).square().mean()
        torch.testing.assert_close(found, expected)

    def test_dragan_is_near_the_real(self):
        found = DRAGAN()(Quadratic(), (REAL,), (FAKE,), random=numbers())
        random = numbers()
        noise = random.uniform(*REAL.shape[1:])
        t = random.uniform(1, 1, 1)
        near = REAL + t * 0.5 * REAL.std() * noise
        expected = 10 * (norms(near) - 1).square().mean()
        torch.testing.assert_close(found, expected)

    def test_path_length(self):
        """A linear generator: the Jacobian is its weight."""
        linear = nn.Linear(3, 4, bias=False)
        w = torch.randn(2, 3, requires_grad=True)
        penalty = PathLength(weight=2, interval=3, decay=0.5)
        found = penalty(
            lambda w: linear(w).view(-1, 1, 2, 2), w, random=numbers(2)
        )
        noise = numbers(2).normal(1, 2, 2) / 2
        lengths = (noise.flatten(1) @ linear.weight).norm(dim=1)
        mean = lengths.mean() / 2
        torch.testing.assert_close(penalty.mean_length, mean.detach())
        torch.testing.assert_close(
            found, 2 * 3 * (lengths - mean).square().mean()
        )

    def test_labels_go_with_the_images(self):
        labels = torch.ones(3, 1).squeeze(1)
        found = R1()(Quadratic(), (REAL, labels), (FAKE, labels))
        gradient = (3 * REAL + 1).flatten(1)
        torch.testing.assert_close(found, 5 * gradient.square().sum(1).mean())

    @pytest.mark.parametrize('penalty', [R1, R2, WGANGP, DRAGAN])
    def test_no_gradient_reaches_the_images(self, penalty):
        real, fake = (x.clone().requires_grad_() for x in (REAL, FAKE))
        network = Quadratic()
        penalty()(network, (real,), (fake,)).backward()
        assert real.grad is None
        assert fake.grad is None
        assert network.a.grad is not None


class TestBadArguments:
    @pytest.mark.parametrize(
        'kwargs', [dict(decay=0), dict(decay=2), dict(batch_shrink=0)]
    )
    def test_of_path_length(self, kwargs):
        (name,) = kwargs
        with pytest.raises(ValueError, match=f'{name} must be'):
            PathLength(**kwargs)

    def test_a_generator_in_one_part_has_no_path(self):
        with pytest.raises(ValueError, match='no mapping and no synthesis'):
            ImageGAN(
                nn.Linear(2, 2),
                nn.Linear(2, 2),
                noise_size=2,
                gen_regularizers=[dict(type='mmamp.PathLength')],
            )


@MODELS.register_module(force=True)
class TwoPartGenerator(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 8), nn.Linear(8, 64)

    def mapping(self, noise):
        return self.first(noise).relu()

    def synthesis(self, w):
        return self.second(w).tanh().view(-1, 1, 8, 8)

    def forward(self, noise):
        return self.synthesis(self.mapping(noise))


class TestInAModel:
    OPTIONS = {
        'model.disc_regularizers': [
            dict(type='R1', interval=2),
            dict(type='WGANGP', interval=3),
        ],
        'optim_wrapper.discriminator.accumulative_counts': 2,
        'train_cfg.max_iters': 8,
        'default_hooks.logger.interval': 1,
    }

    @pytest.mark.parametrize('dtype', ['float32', 'float16', 'bfloat16'])
    def test_in_whole_windows(self, build_runner, dtype):
        """Windows 0 and 2 of four have R1, windows 0 and 3 have WGAN-GP."""
        runner = build_runner(
            'gan',
            {**self.OPTIONS, 'optim_wrapper.discriminator.dtype': dtype},
        )
        runner.train()
        counts = {
            name: len(runner.message_hub.get_scalar(f'train/{name}').data[0])
            for name in ('loss_r1', 'loss_wgangp', 'loss_disc_real')
        }
        assert counts == dict(loss_r1=4, loss_wgangp=4, loss_disc_real=8)
        assert runner.optim_wrapper['discriminator'].skipped_steps == 0

    def test_with_plain_optimizers(self, build_runner):
        def plain(cfg):
            for name in ('generator', 'discriminator'):
                cfg.optim_wrapper[name] = dict(
                    type='mmengine.OptimWrapper',
                    optimizer=dict(type='SGD', lr=0.1),
                )

        options = {'model.disc_regularizers': [dict(type='R1')]}
        runner = build_runner('gan', options, edit=plain)
        runner.train()
        assert 'train/loss_r1' in runner.message_hub.log_scalars

    def test_path_length(self, build_runner):
        def two_parts(cfg):
            cfg.model.generator = dict(type='TwoPartGenerator')
            cfg.model.gen_regularizers = [dict(type='PathLength', interval=2)]

        runner = build_runner('gan', edit=two_parts)
        runner.train()
        history = runner.message_hub.get_scalar('train/loss_pathlength')
        assert len(history.data[0]) == 2
        penalty = runner.model.gen_regularizers[0]
        assert penalty.mean_length > 0
        assert 'gen_regularizers.0.mean_length' in runner.model.state_dict()
