"""Names and patterns to modules, modules to parameters, one owner each."""

import re

import pytest
import torch
from torch import nn

from mmamp.engine.optimizers.param_matching import Claim, ParamMatcher
from mmamp.utils.modules import unwrap


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.mapping = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
        self.synthesis = nn.Linear(2, 3)


class GAN(nn.Module):
    def __init__(self):
        super().__init__()
        self.generator = Generator()
        self.disc_a = nn.Linear(3, 1)
        self.disc_b = nn.Linear(3, 1)
        self.act = nn.ReLU()
        self.missing = None


@pytest.fixture
def gan():
    return GAN()


@pytest.fixture
def matcher(gan):
    return ParamMatcher(gan)


def is_same(found, expected):
    return [id(p) for p in found] == [id(p) for p in expected]


@pytest.mark.parametrize(
    ('patterns', 'expected'),
    [
        ('generator', ['generator']),
        (['generator'], ['generator']),
        (('disc_b', 'disc_a'), ['disc_b', 'disc_a']),
        ('generator.mapping', ['generator.mapping']),
        ('disc_.*', ['disc_a', 'disc_b']),
        ('disc_(a|b)', ['disc_a', 'disc_b']),
        (r'generator\.(?!mapping\b).+', ['generator.synthesis']),
        ('(?!generator|act).*', ['disc_a', 'disc_b']),
        (['generator', 'disc_.*'], ['generator', 'disc_a', 'disc_b']),
    ],
)
def test_patterns_claim_whole_modules(gan, matcher, patterns, expected):
    claim = matcher.claim_modules(patterns, 'here')
    assert list(claim.modules) == expected
    assert is_same(
        claim.trainable,
        [p for name in expected for p in gan.get_submodule(name).parameters()],
    )


def test_pattern_has_to_match_in_full():
    model = nn.ModuleDict(dict(gen=nn.Linear(1, 1), gen_ema=nn.Linear(1, 1)))
    assert list(ParamMatcher(model).claim_modules('gen', 'x').modules) == [
        'gen'
    ]
    claim = ParamMatcher(model).claim_modules('ge[n]', 'x')
    assert list(claim.modules) == ['gen']


def test_exact_name_comes_before_regular_expression():
    model = nn.Module()
    model.a = nn.ModuleDict(dict(b=nn.Linear(1, 1)))
    model.a_b = nn.Linear(1, 1)
    # As a regular expression 'a.b' would match both.
    assert list(ParamMatcher(model).claim_modules('a.b', 'x').modules) == [
        'a.b'
    ]


@pytest.mark.parametrize('order', [1, -1])
def test_match_inside_a_match_is_not_taken_twice(gan, matcher, order):
    patterns = ['generator', 'generator.mapping'][::order]
    claim = matcher.claim_modules(patterns, 'here')
    assert list(claim.modules) == ['generator']
    assert is_same(claim.trainable, gan.generator.parameters())


def test_sibling_with_the_same_beginning_is_not_inside():
    model = nn.ModuleDict(dict(gen=nn.Linear(1, 1), gen2=nn.Linear(1, 1)))
    claim = ParamMatcher(model).claim_modules('gen.?', 'x')
    assert list(claim.modules) == ['gen', 'gen2']


def test_second_name_of_a_module_can_be_used(gan):
    gan.alias = gan.generator
    claim = ParamMatcher(gan).claim_modules('alias.mapping', 'here')
    assert is_same(claim.trainable, gan.generator.mapping.parameters())


def test_tied_parameters_come_once(gan):
    gan.disc_b.weight = gan.disc_a.weight
    claim = ParamMatcher(gan).claim_modules('disc_.*', 'here')
    assert is_same(
        claim.trainable, [gan.disc_a.weight, gan.disc_a.bias, gan.disc_b.bias]
    )


def test_frozen_parameters_are_set_apart(gan):
    gan.generator.mapping.requires_grad_(False)
    claim = ParamMatcher(gan).claim_modules('generator', 'here')
    assert is_same(claim.trainable, gan.generator.synthesis.parameters())
    assert is_same(claim.frozen, gan.generator.mapping.parameters())


def test_whole_model_includes_its_own_parameters(gan):
    gan.scale = nn.Parameter(torch.ones(()))
    claim = ParamMatcher(gan).claim_model('here')
    assert is_same(claim.trainable, gan.parameters())


def test_wrappers_leave_no_trace(gan):
    expected = ParamMatcher(gan)
    gan.generator = nn.DataParallel(gan.generator)
    wrapped = nn.DataParallel(gan)
    matcher = ParamMatcher(wrapped)
    assert unwrap(wrapped) is gan
    assert list(matcher.modules) == list(expected.modules)
    assert matcher.param_names == expected.param_names
    assert matcher.modules['generator'] is gan.generator.module
    # And what `.*` reaches is no wrapper either.
    assert 'module' not in '.'.join(matcher.modules)


def test_claim_in_words(gan):
    gan.generator.mapping.requires_grad_(False)
    matcher = ParamMatcher(gan)
    text = str(matcher.claim_modules(['generator', 'disc_a'], 'here'))
    assert text == (
        'generator, disc_a: 4 tensors, 13 parameters; 4 frozen tensors left '
        'out'
    )
    assert str(matcher.claim_model('here')).startswith('the whole model: 6')


def test_lazy_parameters_do_not_break_the_count():
    model = nn.ModuleDict(dict(net=nn.LazyLinear(3)))
    claim = ParamMatcher(model).claim_modules('net', 'here')
    assert 'net: 2 tensors, 0 parameters' in str(claim)


def test_typo_is_told_with_what_there_is(matcher):
    with pytest.raises(ValueError) as error:
        matcher.claim_modules(['disc_a', 'generater'], "optim_wrapper['g']")
    message = str(error.value)
    assert message.startswith("optim_wrapper['g']: 'generater' is neither")
    assert 'GAN: generator, disc_a, disc_b, act.' in message
    assert "Did you mean 'generator'" in message


def test_typo_in_a_dotted_name_is_told_the_dotted_name(matcher):
    with pytest.raises(ValueError, match=r"Did you mean 'generator.mapping'"):
        matcher.claim_modules('generator.maping', 'here')


def test_nothing_close_is_no_guess(matcher):
    with pytest.raises(ValueError, match='regular expression') as error:
        matcher.claim_modules('xyz.*', 'here')
    assert 'Did you mean' not in str(error.value)


def test_model_without_children_says_so():
    with pytest.raises(ValueError, match=re.escape('Linear: (none).')):
        ParamMatcher(nn.Linear(1, 1)).claim_modules('generator', 'here')


def test_invalid_regular_expression(matcher):
    with pytest.raises(ValueError, match='not a valid one') as error:
        matcher.claim_modules('*encoder', 'here')
    assert "here: '*encoder'" in str(error.value)
    assert 'nothing to repeat' in str(error.value)
    assert 'generator, disc_a' in str(error.value)


@pytest.mark.parametrize('patterns', [[], (), [3], 3, dict(a=1), ['a', None]])
def test_modules_of_a_wrong_kind(matcher, patterns):
    kind = ValueError if patterns in ([], ()) else TypeError
    with pytest.raises(kind, match='here: `modules`') as error:
        matcher.claim_modules(patterns, 'here')
    assert patterns in ([], ()) or repr(patterns) in str(error.value)


def test_all_frozen(gan):
    gan.disc_a.requires_grad_(False)
    with pytest.raises(ValueError, match='here: no parameter of disc_a') as e:
        ParamMatcher(gan).claim_modules('disc_a', 'here')
    assert 'all 2 are frozen (requires_grad=False)' in str(e.value)


def test_module_without_parameters(matcher):
    with pytest.raises(ValueError, match=r'of act can be .* has none at all'):
        matcher.claim_modules('act', 'here')


def test_model_without_parameters():
    with pytest.raises(ValueError, match='of the model can be trained'):
        ParamMatcher(nn.ReLU()).claim_model('here')


def claim_each(matcher, **patterns):
    return {
        name: matcher.claim_modules(pattern, name)
        for name, pattern in patterns.items()
    }


def test_single_owners_pass(matcher):
    claims = claim_each(matcher, g='generator', d='disc_.*')
    matcher.check_single_owner(claims)
    assert matcher.unowned_names(claims) == []


@pytest.mark.parametrize('order', [1, -1])
def test_nested_modules_have_one_owner(matcher, order):
    patterns = [('g', 'generator'), ('m', 'generator.mapping')][::order]
    claims = claim_each(matcher, **dict(patterns))
    with pytest.raises(ValueError, match='claimed by two opt') as error:
        matcher.check_single_owner(claims)
    message = str(error.value)
    assert "'generator.mapping.0.weight'" in message
    assert "'g'" in message
    assert "'m'" in message
    assert "custom_keys={'generator.mapping': dict(lr_mult=0.1)}" in message
    # The way out that it names has to be one.
    (advised,) = re.findall(r"modules=\[r'(.+)'\]", message)
    claims['g'] = matcher.claim_modules(advised, 'g')
    assert list(claims['g'].modules) == ['generator.synthesis']
    matcher.check_single_owner(claims)


def test_deeper_module_gets_no_advice_that_fails(matcher):
    claims = claim_each(matcher, g='generator', m='generator.mapping.0')
    with pytest.raises(ValueError, match='custom_keys') as error:
        matcher.check_single_owner(claims)
    assert 'modules=' not in str(error.value)


def test_overlapping_patterns(matcher):
    claims = claim_each(matcher, all='.*', d='disc_b')
    with pytest.raises(ValueError, match=r"'disc_b.weight'.*'all' and 'd'"):
        matcher.check_single_owner(claims)


def test_parameter_shared_by_two_networks(gan):
    gan.disc_b.weight = gan.disc_a.weight
    matcher = ParamMatcher(gan)
    claims = claim_each(matcher, a='disc_a', b='disc_b')
    with pytest.raises(
        ValueError, match=r"'disc_a.weight'.*one optimizer for"
    ):
        matcher.check_single_owner(claims)


def test_frozen_parameters_may_be_shared(gan):
    gan.disc_b.weight = gan.disc_a.weight
    gan.disc_a.weight.requires_grad_(False)
    matcher = ParamMatcher(gan)
    matcher.check_single_owner(claim_each(matcher, a='disc_a', b='disc_b'))


def test_unowned_are_the_trainable_rest(gan):
    gan.scale = nn.Parameter(torch.ones(()))
    gan.disc_b.bias.requires_grad_(False)
    matcher = ParamMatcher(gan)
    claims = claim_each(matcher, g='generator', a='disc_a')
    assert matcher.unowned_names(claims) == ['scale', 'disc_b.weight']


def test_built_optimizer_claims_what_it_holds(gan, matcher):
    gan.disc_a.bias.requires_grad_(False)
    optimizer = torch.optim.SGD(gan.disc_a.parameters(), lr=0.1)
    claim = matcher.claim_optimizer(optimizer, 'here')
    assert is_same(claim.trainable, [gan.disc_a.weight])
    assert str(claim).startswith('what it was built with: 1 tensors')
    claims = dict(built=claim, **claim_each(matcher, d='disc_.*'))
    with pytest.raises(ValueError, match=r"'disc_a.weight'.*'built' and 'd'"):
        matcher.check_single_owner(claims)


def test_built_optimizer_of_another_model(matcher):
    optimizer = torch.optim.SGD(GAN().parameters(), lr=0.1)
    with pytest.raises(ValueError, match=r'here is a built .* deep-copies'):
        matcher.claim_optimizer(optimizer, 'here')


def test_claim_is_a_value():
    assert Claim({}, []) == Claim({}, [], ())
