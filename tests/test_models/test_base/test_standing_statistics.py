import copy
import gc
import pickle

import pytest
import torch
from mmengine.optim import OptimWrapperDict
from torch import nn

from mmamp import AmpOptimWrapper, BaseGAN
from mmamp.models.base.standing_statistics import estimate
from mmamp.models.gans.image_gan import ImageGAN
from mmamp.models.layers.spectral_norm import spectral_norm


class Generator(nn.Module):
    def __init__(self, norm=nn.BatchNorm1d):
        super().__init__()
        self.linear = nn.Linear(5, 16)
        self.norm = norm(16)
        self.dropout = nn.Dropout(0.5)

    def forward(self, noise):
        x = self.dropout(self.norm(self.linear(noise)))
        return x.tanh().view(-1, 1, 4, 4)


def make_gan(generator=None, truncation=None, **ema_config):
    torch.manual_seed(0)
    discriminator = nn.Sequential(nn.Flatten(), nn.Linear(16, 1))
    return ImageGAN(
        generator or Generator(),
        discriminator,
        noise_size=5,
        truncation=truncation,
        ema_config={'momentum': 0.3, **ema_config},
    ).train()


def train(gan, steps=3, inputs=None, **kwargs):
    wrappers = OptimWrapperDict(
        **{
            name: AmpOptimWrapper(
                optimizer=torch.optim.Adam(
                    getattr(gan, name).parameters(), 0.05
                ),
                **kwargs,
            )
            for name in ('generator', 'discriminator')
        }
    )
    if inputs is None:
        inputs = torch.randint(0, 256, (6, 1, 4, 4), dtype=torch.uint8)
    for _ in range(steps):
        gan.train_step(dict(inputs=inputs), wrappers)
    return wrappers


def expected(gan, num=16):
    """Statistics of the average's own features, batch by batch."""
    average = gan.generator_ema.module
    with torch.no_grad():
        features = [
            average.linear(gan.standing_inputs(i, 64)[0]) for i in range(num)
        ]
    return (
        torch.stack([x.mean(0) for x in features]).mean(0),
        torch.stack([x.var(0) for x in features]).mean(0),
    )


def is_raw(gan):
    """Whether the average has the trained generator's statistics."""
    return torch.equal(
        gan.generator_ema.module.norm.running_mean,
        gan.generator.norm.running_mean,
    )


def test_they_are_means_over_batches_that_the_average_makes():
    gan = make_gan(standing_batches=3)
    train(gan)
    norm = gan.generator_ema.module.norm
    torch.testing.assert_close(
        norm.running_mean, gan.generator.norm.running_mean
    )
    gan.estimate_statistics()
    mean, var = expected(gan, 3)
    torch.testing.assert_close(norm.running_mean, mean)
    torch.testing.assert_close(norm.running_var, var)
    assert (
        norm.running_mean - gan.generator.norm.running_mean
    ).abs().max() > 0.01


def test_nothing_else_is_touched():
    gan = make_gan()
    train(gan)
    gan.generator_ema.module.dropout.eval()
    state = {k: v.clone() for k, v in gan.state_dict().items()}
    modes = [m.training for m in gan.modules()]
    rng = torch.get_rng_state()
    gan.estimate_statistics()
    assert torch.equal(torch.get_rng_state(), rng)
    assert [m.training for m in gan.modules()] == modes
    assert gan.generator_ema.module.norm.momentum == 0.1
    changed = [
        k for k, v in gan.state_dict().items() if not torch.equal(v, state[k])
    ]
    prefix = 'generator_ema.module.norm.'
    assert all(k.startswith(prefix) for k in changed)
    assert len(changed) == 3


@pytest.mark.parametrize('how', ['generate', 'called', 'copied', 'forward'])
def test_whoever_evaluates_the_average(how):
    gan = make_gan()
    train(gan)
    noise = torch.randn(4, 5)
    twin = copy.deepcopy(gan)
    twin.estimate_statistics()
    wanted = twin.generator_ema.module.eval()(noise)
    if how == 'generate':
        found = gan.generate(noise)
        wanted = gan.data_preprocessor.to_uint8(wanted)
    elif how == 'called':
        found = gan.generator_ema.eval()(noise)
    elif how == 'copied':
        found = copy.deepcopy(gan.generator_ema.module).eval()(noise)
    else:
        gan.eval()
        found = gan(torch.zeros(4, 1, 4, 4))
        noise, _ = gan.latents(4)
        wanted = twin.generate(noise)
    assert torch.equal(found, wanted)


def test_once_an_update():
    gan = make_gan()
    wrappers = train(gan)
    gan.generate(torch.randn(2, 5))
    norm = gan.generator_ema.module.norm
    norm.running_mean.fill_(7)
    gan.generate(torch.randn(2, 5))
    assert (norm.running_mean == 7).all()
    gan.train_step(dict(inputs=torch.zeros(6, 1, 4, 4)), wrappers)
    gan.generate(torch.randn(2, 5))
    torch.testing.assert_close(norm.running_mean, expected(gan)[0])


@pytest.mark.parametrize('is_copied', [False, True])
def test_what_somebody_makes_by_passes_in_training_mode_is_kept(is_copied):
    gan = make_gan()
    wrappers = train(gan)
    average = gan.generator_ema.module
    network = copy.deepcopy(average) if is_copied else average
    network.train()(torch.randn(4, 5))
    theirs = network.norm.running_mean.clone()
    network.eval()(torch.randn(4, 5))
    assert torch.equal(network.norm.running_mean, theirs)
    # Until the next update.
    gan.train_step(dict(inputs=torch.zeros(6, 1, 4, 4)), wrappers)
    average.eval()(torch.randn(4, 5))
    torch.testing.assert_close(average.norm.running_mean, expected(gan)[0])


@pytest.mark.parametrize(
    ('given', 'said'),
    [
        (
            dict(standing_batch=4),
            'Did you mean .standing_batches',
        ),
        (dict(momentum=2), r'momentum .* in \(0, 1\), but got 2'),
    ],
)
def test_a_config_that_cannot_be_is_refused(given, said):
    with pytest.raises(ValueError, match=said):
        make_gan(**given)


def test_a_checkpoints_are_kept():
    gan = make_gan()
    train(gan)
    gan.estimate_statistics()
    state = copy.deepcopy(gan.state_dict())
    state['generator_ema.module.norm.running_mean'].fill_(2)
    other = make_gan()
    other.load_state_dict(state)
    other.generate(torch.randn(2, 5))
    assert (other.generator_ema.module.norm.running_mean == 2).all()


def test_what_has_no_average_gets_its_own():
    gan = make_gan()
    train(gan)
    state = {k: v for k, v in gan.state_dict().items() if '_ema.' not in k}
    other = make_gan()
    other.load_state_dict(state, strict=False)
    other.generate(torch.randn(2, 5))
    torch.testing.assert_close(
        other.generator_ema.module.norm.running_mean, expected(other)[0]
    )


@pytest.mark.parametrize('is_set_later', [False, True])
def test_truncated_noise_has_statistics_of_its_own(is_set_later):
    """As in BigGAN's code, for each threshold."""
    gan = make_gan()
    train(gan)
    gan.estimate_statistics()
    usual = gan.generator_ema.module.norm.running_var.clone()
    other = make_gan(truncation=None if is_set_later else 0.5)
    other.load_state_dict(gan.state_dict())
    if is_set_later:
        other.truncation = 0.5
    other.sample(2)
    (noise,) = other.standing_inputs(0, 64)
    assert noise.abs().max() <= 0.5
    norm = other.generator_ema.module.norm
    torch.testing.assert_close(norm.running_var, expected(other)[1])
    assert (norm.running_var < usual / 2).all()


def test_a_skipped_window_leaves_them_finite():
    gan = make_gan()
    train(gan, steps=2)
    train(gan, steps=1, inputs=torch.full((6, 1, 4, 4), torch.nan))
    gan.generate(torch.randn(2, 5))
    norm = gan.generator_ema.module.norm
    torch.testing.assert_close(norm.running_mean, expected(gan)[0])
    assert norm.running_var.isfinite().all()


def test_a_low_precision_around_does_not_matter():
    gan = make_gan()
    train(gan)
    with torch.autocast('cpu', torch.bfloat16):
        gan.estimate_statistics()
    mean, var = expected(gan)
    norm = gan.generator_ema.module.norm
    torch.testing.assert_close(norm.running_mean, mean)
    torch.testing.assert_close(norm.running_var, var)


def test_spectral_norms_follow_the_average():
    """Their vectors, too, are the trained generator's at first."""
    generator = Generator()
    spectral_norm(generator.linear)
    gan = make_gan(generator, momentum=0.01)
    train(gan, steps=20)
    average = gan.generator_ema.module

    def off_by():
        return abs(torch.linalg.matrix_norm(average.linear.weight, 2) - 1)

    average.eval()
    before = off_by()
    gan.estimate_statistics()
    assert off_by() < before / 10


def test_norms_over_ranks_are_estimated_alone():
    """As SyncBatchNorm would wait for ranks that do not evaluate."""
    plain, synchronised = Generator(), Generator(nn.SyncBatchNorm)
    synchronised.load_state_dict(plain.state_dict())
    batches = torch.randn(4, 8, 5)
    for network in (plain, synchronised):
        estimate(network, lambda i: (batches[i],), 4)
    for name, buffer in plain.norm.named_buffers():
        torch.testing.assert_close(synchronised.norm.get_buffer(name), buffer)
    assert 'forward' not in vars(synchronised.norm)


def test_averaged_ones_are_left_alone():
    gan = make_gan(update_buffers=True)
    train(gan)
    before = gan.generator_ema.module.norm.running_mean.clone()
    gan.generate(torch.randn(2, 5))
    assert torch.equal(gan.generator_ema.module.norm.running_mean, before)


def test_zero_batches_leave_the_trained_generators():
    gan = make_gan(standing_batches=0)
    train(gan)
    gan.generate(torch.randn(2, 5))
    assert torch.equal(
        gan.generator_ema.module.norm.running_mean,
        gan.generator.norm.running_mean,
    )


def test_a_generator_without_batch_norm_needs_none():
    gan = make_gan(nn.Sequential(nn.Linear(5, 16), nn.Unflatten(1, (1, 4, 4))))
    assert not gan._standing


def test_both_ways_at_once_are_refused():
    with pytest.raises(ValueError, match='standing_batches=4 and update_buf'):
        make_gan(standing_batches=4, update_buffers=True)


@pytest.mark.parametrize('num', [-1, 1.5, True])
def test_a_wrong_number_is_refused(num):
    with pytest.raises(ValueError, match='standing_batches'):
        make_gan(standing_batches=num)


class OfPictures(BaseGAN):
    def disc_loss(self, *args):
        raise NotImplementedError

    def gen_loss(self, *args):
        raise NotImplementedError


def test_a_model_without_latents_says_what_it_does(mm_log):
    OfPictures(Generator(), nn.Linear(1, 1), ema_config=dict(momentum=0.1))
    assert 'is evaluated with the BatchNorm statistics of' in mm_log()
    with pytest.raises(ValueError, match='standing_batches=4: only a model'):
        OfPictures(
            Generator(), nn.Linear(1, 1), ema_config=dict(standing_batches=4)
        )


def test_an_average_can_be_pickled(mm_log):
    gan = make_gan()
    train(gan)
    noise = torch.randn(2, 5)
    due = pickle.loads(pickle.dumps(gan.generator_ema.module)).eval()
    due(noise)
    assert 'An average without its model is evaluated with' in mm_log()
    wanted = gan.generator_ema.eval()(noise)
    settled = pickle.loads(pickle.dumps(gan.generator_ema.module)).eval()
    assert torch.equal(settled(noise), wanted)
    assert mm_log().count('An average without its model') == 1


def test_a_copy_of_a_model_needs_no_original():
    gan = make_gan()
    train(gan)
    noise = torch.randn(2, 5)
    twin = copy.deepcopy(gan)
    wanted = gan.generator_ema.eval()(noise)
    del gan
    gc.collect()
    assert torch.equal(twin.generator_ema.eval()(noise), wanted)


def test_a_pass_that_fails_leaves_them_as_they_were():
    gan = make_gan()
    train(gan)
    inputs, calls = gan.standing_inputs, []

    def failing(index, num):
        calls.append(index)
        if index == 2 and len(calls) == 3:
            raise KeyboardInterrupt
        return inputs(index, num)

    gan.standing_inputs = failing
    with pytest.raises(KeyboardInterrupt):
        gan.estimate_statistics()
    assert is_raw(gan)
    gan.estimate_statistics()
    mean, _ = expected(gan)
    torch.testing.assert_close(
        gan.generator_ema.module.norm.running_mean, mean
    )


def test_a_state_that_somebody_else_saves_is_estimated_when_it_is_used():
    """As MMEngine's own CheckpointHook saves it."""
    gan = make_gan()
    train(gan)
    other = make_gan()
    other.load_state_dict(copy.deepcopy(gan.state_dict()))
    noise = torch.randn(4, 5)
    assert torch.equal(other.generate(noise), gan.generate(noise))
    assert not is_raw(other)


def test_batches_of_another_size():
    gan = make_gan(standing_batches=2, standing_batch_size=8)
    train(gan)
    gan.estimate_statistics()
    with torch.no_grad():
        features = [
            gan.generator_ema.module.linear(gan.standing_inputs(i, 8)[0])
            for i in range(2)
        ]
    torch.testing.assert_close(
        gan.generator_ema.module.norm.running_mean,
        torch.cat(features).mean(0),
    )
