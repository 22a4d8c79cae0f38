import random

import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from mmamp.models import ImageGAN


def numbers():
    """One of each generator, which moves it."""
    return random.random(), float(np.random.rand()), float(torch.rand(()))


@HOOKS.register_module(force=True)
class DrawsOnce(Hook):
    """As a hook that shows pictures of latents drawn at its first call."""

    drawn = None

    def after_train_iter(self, *args, **kwargs):
        if self.drawn is None:
            self.drawn = numbers()


@HOOKS.register_module(force=True)
class DrawsAlways(Hook):
    """As one that changes the size of pictures now and then."""

    def __init__(self):
        self.drawn = {}

    def before_train_iter(self, runner, *args, **kwargs):
        self.drawn[runner.iter] = numbers()


@HOOKS.register_module(force=True)
class Seeds(Hook):
    def before_train_iter(self, runner, *args, **kwargs):
        torch.manual_seed(7)
        random.seed(8)
        np.random.seed(9)


@HOOKS.register_module(force=True)
class Saves(Hook):
    """In a stage of its own, after it has drawn numbers."""

    def after_train_iter(self, runner, *args, **kwargs):
        if runner.iter == 1:
            numbers()
            runner.save_checkpoint(
                runner.work_dir, 'its_own.pth', by_epoch=False
            )


def trained(build_runner, *hooks, **options):
    """Train for four iterations beside some hooks."""
    runner = build_runner(
        'gan',
        {
            'custom_hooks': [
                dict(type=x) for x in (*hooks, 'mmamp.StateHook')
            ],
            'train_cfg.max_iters': 4,
            'default_hooks.checkpoint': dict(
                type='mmamp.CheckpointHook', interval=2
            ),
            'randomness': dict(seed=0),
            'log_level': 'INFO',
            **options,
        },
    )
    runner.train()
    return runner


def weights(runner):
    return torch.cat([x.flatten() for x in runner.model.state_dict().values()])


def resumed(build_runner, whole, *hooks):
    return trained(
        build_runner,
        *hooks,
        load_from=f'{whole.work_dir}/iter_2.pth',
        resume=True,
    )


@pytest.fixture
def draws_in_training(monkeypatch):
    """What training itself draws from the global generators."""
    found = []
    given = ImageGAN.train_step

    def train_step(self, *args, **kwargs):
        found.append(numbers())
        return given(self, *args, **kwargs)

    monkeypatch.setattr(ImageGAN, 'train_step', train_step)
    return found


def hook_of(runner, name):
    return next(x for x in runner.hooks if type(x).__name__ == name)


def test_training_draws_the_same_with_and_without(
    build_runner, draws_in_training
):
    trained(build_runner)
    without = list(draws_in_training)
    for name in ('DrawsOnce', 'DrawsAlways'):
        draws_in_training.clear()
        trained(build_runner, name)
        assert draws_in_training == without
    assert len(set(without)) == len(without) == 4


def test_a_hook_draws_others_each_time_and_the_same_when_resumed(
    build_runner, draws_in_training
):
    whole = trained(build_runner, 'DrawsAlways')
    drawn = hook_of(whole, 'DrawsAlways').drawn
    assert len(set(drawn.values())) == 4
    after = draws_in_training[2:]
    draws_in_training.clear()
    second = resumed(build_runner, whole, 'DrawsAlways')
    again = hook_of(second, 'DrawsAlways').drawn
    assert again == {i: drawn[i] for i in (2, 3)}
    assert draws_in_training == after


def test_a_run_resumed_beside_a_hook_that_draws_once_is_exact(
    build_runner, draws_in_training
):
    whole = trained(build_runner, 'DrawsOnce')
    after = draws_in_training[2:]
    draws_in_training.clear()
    second = resumed(build_runner, whole, 'DrawsOnce')
    assert draws_in_training == after
    assert torch.equal(weights(whole), weights(second))


def test_a_checkpoint_that_a_hook_takes_has_trainings_states(
    build_runner, draws_in_training
):
    whole = trained(build_runner, 'Saves', 'DrawsAlways')
    after = draws_in_training[2:]
    draws_in_training.clear()
    trained(
        build_runner,
        load_from=f'{whole.work_dir}/its_own.pth',
        resume=True,
    )
    assert draws_in_training == after


def test_a_hook_that_seeds_keeps_what_it_does(build_runner, draws_in_training):
    trained(build_runner, 'Seeds')
    assert len(set(draws_in_training)) == 1
    torch.manual_seed(7)
    random.seed(8)
    np.random.seed(9)
    assert draws_in_training[0] == numbers()
