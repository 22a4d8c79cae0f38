import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mmengine.config import Config, DictAction

from mmamp.config.loading import merge_options
from mmamp.config.options import parse_value


@pytest.mark.parametrize(
    ('text', 'value'),
    [
        ('/data/my photos', '/data/my photos'),
        ('two words', 'two words'),
        (' padded ', 'padded'),
        ("' padded '", ' padded '),
        ("it's", "it's"),
        ('runs/a,b/iter_8.pth', 'runs/a,b/iter_8.pth'),
        ('C:\\a, b\\c', 'C:\\a, b\\c'),
        ("'a,b'", 'a,b'),
        ("['a b','c']", ['a b', 'c']),
        ("['a,b', c d]", ['a,b', 'c d']),
        ('[a/b,c/d]', ['a/b', 'c/d']),
        ('a b,c', ['a b', 'c']),
        ('(0.5, 0.75)', (0.5, 0.75)),
        ('(1,2),(3,4)', [(1, 2), (3, 4)]),
        ('[(a, 1), (b, 2)]', [('a', 1), ('b', 2)]),
        ('[[], ()]', [[], ()]),
        ('(1,)', (1,)),
        ('None', None),
        ('TRUE', True),
        ('1e-3', 0.001),
        ('', ''),
    ],
)
def test_values(text, value):
    assert parse_value(text) == value
    assert type(parse_value(text)) is type(value)


@pytest.mark.parametrize('text', ['1),(2', '(1,2]', "['a,b]", '[a,[b]'])
def test_what_does_not_match(text):
    with pytest.raises(ValueError, match='closes nothing|there is no'):
        parse_value(text)


def nested(children):
    lists = st.lists(children, max_size=3).map(','.join)
    return lists.map('[{}]'.format) | lists.map('({})'.format)


WORDS = st.text('ab1.-=:', min_size=1, max_size=4)
SCALARS = WORDS | st.sampled_from(['None', 'true', 'False', '2', '1e3'])
VALUES = st.recursive(SCALARS, nested, max_leaves=6)


@given(st.lists(VALUES, min_size=1, max_size=3).map(','.join))
@example('a,')
@example(',')
def test_as_mmengine_where_nothing_is_lost_there(text):
    if text[0] in '[(' and text[1:].count(text[0]):
        return  # it takes the last bracket for that of the first
    assert repr(parse_value(text)) == repr(DictAction._parse_iterable(text))


def test_what_the_config_has_decides_about_commas(mm_log):
    cfg = Config(dict(files=['x'], weights=None, data=dict(root='a')))
    options = {
        'files': 'a/b,c/d',
        'weights': 'a/b,c/d',
        'data.root': 'p/q,r',
        'data.new.key': 'p/q,r',
    }
    merge_options(cfg, options)
    assert cfg.files == ['a/b', 'c/d']
    assert cfg.weights == 'a/b,c/d'
    assert cfg.data == dict(root='p/q,r', new=dict(key='p/q,r'))
    assert 'weights=[a/b,c/d] would be a list' in mm_log()
