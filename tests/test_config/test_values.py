import pytest
from mmengine.config import Config

from mmamp.config.values import (
    check_data,
    check_length,
    check_model,
    check_optimizer_settings,
    check_seed,
    check_training,
)
from mmamp.errors import UsageError


@pytest.mark.parametrize('seed', ['abc', -1, 2**32, 1.5, True, [1]])
def test_seeds_that_are_none(seed):
    with pytest.raises(UsageError) as error:
        check_seed(Config(dict(randomness=dict(seed=seed))))
    assert str(error.value).startswith('randomness.seed must be an int')
    assert f'but is {seed!r}' in str(error.value)


def test_randomness_is_a_dict():
    with pytest.raises(UsageError, match='randomness must be a dict .* is 3'):
        check_seed(Config(dict(randomness=3)))


def test_seeds():
    for randomness in (dict(seed=0), dict(seed=None), {}, None):
        check_seed(Config(dict(randomness=randomness)))
    check_seed(Config({}))


@pytest.mark.parametrize('key', ['max_iters', 'max_epochs', 'val_interval'])
@pytest.mark.parametrize('value', [-1, 0, 'ten', 0.5])
def test_no_training_at_all(key, value):
    cfg = Config(dict(train_cfg={key: value}, val_cfg=dict()))
    text = f'train_cfg.{key} must be an int >= 1, but is {value!r}'
    with pytest.raises(UsageError, match=text):
        check_length(cfg)


def test_lengths():
    for train_cfg in (
        None,
        dict(max_iters=3, val_interval=0),  # nothing is validated
        dict(max_iters=1e5),
        dict(type='mmdet.EndlessLoop', max_iters=-1),
    ):
        check_length(Config(dict(train_cfg=train_cfg)))


@pytest.mark.parametrize(
    ('key', 'value', 'valid'),
    [
        ('batch_size', 0, 'an int >= 1'),
        ('batch_size', 'four', 'an int >= 1'),
        ('batch_size', 1e2, 'an int >= 1'),  # of torch's
        ('num_workers', -1, 'an int >= 0'),
        ('num_workers', 0.5, 'an int >= 0'),
    ],
)
@pytest.mark.parametrize('mode', ['train', 'val', 'test'])
def test_data_that_there_cannot_be(mode, key, value, valid):
    cfg = Config({f'{mode}_dataloader': {key: value}})
    text = f'^{mode}_dataloader.{key} must be {valid}, but is {value!r}$'
    with pytest.raises(UsageError, match=text):
        check_data(cfg)


@pytest.mark.parametrize(
    ('key', 'value', 'valid'),
    [
        ('optimizer.lr', -1, 'a number >= 0'),
        ('optimizer.lr', float('nan'), 'a number >= 0'),
        ('optimizer.lr', float('inf'), 'a number >= 0'),
        ('optimizer.lr', 'abc', 'a number >= 0'),
        ('optimizer.weight_decay', -0.1, 'a number >= 0'),
        ('optimizer.betas', (0.5, 1), 'numbers from 0 to below 1'),
        ('optimizer.betas', [-0.1, 0.9], 'numbers from 0 to below 1'),
        ('optimizer.betas', (0.5, float('nan')), 'numbers from 0 to below 1'),
        ('accumulative_counts', 0, 'an int >= 1'),
        ('optimizer.base.lr', -1, 'a number >= 0'),
    ],
)
@pytest.mark.parametrize('at', ['optim_wrapper', 'optim_wrapper.generator'])
def test_settings_that_no_optimizer_has(at, key, value, valid):
    cfg = Config({})
    cfg.merge_from_dict({f'{at}.{key}': value})
    with pytest.raises(UsageError) as error:
        check_optimizer_settings(cfg)
    assert str(error.value) == f'{at}.{key} must be {valid}, but is {value!r}'


def test_settings_that_some_optimizer_has():
    for optimizer in (
        dict(type='Adam', lr=0, betas=(0, 0.999), weight_decay=0),
        dict(type='Adafactor', lr=None, betas=(None, 0.9)),
        dict(type='CAME', lr=1e-4, betas=[0.9, 0.999, 0.9999]),
    ):
        groups = [dict(params='a', lr=0.5)]
        wrapper = dict(optimizer=optimizer, param_groups=groups)
        check_optimizer_settings(Config(dict(optim_wrapper=wrapper)))
    check_data(Config(dict(train_dataloader=None)))
    dataset = dict(type='Cached', num_workers=-1)
    check_data(Config(dict(train_dataloader=dict(dataset=dataset))))


def test_what_training_needs():
    cfg = Config(dict(model=dict(), train_cfg=dict(), optim_wrapper=None))
    with pytest.raises(UsageError) as error:
        check_training(cfg)
    assert str(error.value) == (
        'the config has no train_dataloader, no optim_wrapper; training needs '
        'model, train_dataloader, train_cfg, optim_wrapper'
    )
    check_training(Config(dict(runner_type='mmx.OwnRunner')))
    with pytest.raises(UsageError, match=r'^the config has no model$'):
        check_model(Config(dict(train_cfg=dict())))
