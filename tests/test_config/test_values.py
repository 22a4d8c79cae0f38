import pytest
from mmengine.config import Config

from mmamp.config.values import check_length, check_seed
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
