import pytest
import torch
from other_weights import NAMES, other

from mmamp.errors import UsageError
from mmamp.weights.layouts import join_letters, join_params, refuse_own, split

NETWORK = {'conv.weight': torch.ones(1)}


@pytest.mark.parametrize(
    ('checkpoint', 'said'),
    [
        ({'G': NETWORK, 'D': None}, "'D', but it is a NoneType, no dict"),
        ({'G': torch.ones(1), 'D': NETWORK}, "'G', but it is a Tensor, no"),
        ({'params': {'a': 3}}, "'params', but its 'a' is a int, no tensor"),
        (
            {'state_dict': {'generator.a': torch.ones(1), 'generator.b': []}},
            "'generator', but its 'b' is a list, no tensor",
        ),
        ({'state_dict': {'a': None}}, "no state dict: its keys are 'a'"),
        ({'state_dict': {}}, 'SOURCE holds a dict, no state dict'),
        ({0: torch.ones(1)}, 'no state dict: its keys are 0'),
        ({'state_dict': {1: torch.ones(1)}}, 'its keys are 1'),
        (
            {'discriminator_head.weight': torch.ones(1)},
            'its keys begin with discriminator_head, not with generator, ',
        ),
    ],
)
def test_what_is_no_dict_of_tensors_is_named(checkpoint, said):
    with pytest.raises(UsageError, match=said) as raised:
        split(checkpoint)
    assert '\n' not in str(raised.value)


def test_what_is_beside_a_network_is_left_over():
    parts = split({'state_dict': {**NETWORK, 'epoch': 3}, 'iter': 4})
    assert parts.states == {'generator': NETWORK}
    assert parts.rest == ['epoch', 'iter']


@pytest.mark.parametrize('name', NAMES)
def test_the_names_of_others_are_not_ours(name):
    given = other(name)
    own = given.build().state_dict()
    refuse_own(given.checkpoint(), own)
    for states in given.states.values():
        refuse_own(states, own)
    with pytest.raises(UsageError, match='give --back'):
        refuse_own({'state_dict': own, 'meta': {}}, own)


def test_one_network_is_laid_out_as_it_came():
    for join, names in ((join_params, 'params'), (join_letters, 'G')):
        for source in (NETWORK, {names: NETWORK}):
            parts = split(source)
            assert join(parts.states, parts.details) == source
