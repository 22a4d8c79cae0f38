import pytest

from mmamp.weights.templates import Template, in_one_list


def test_numbers_are_of_both_sides():
    theirs = Template('body.{i}.rdb{j+1}.conv{k+1}.{leaf}', {}, ours=False)
    ours = Template('blocks.{i}.blocks.{j}.layers.{k}.{leaf}', {}, ours=True)
    values = theirs.match('body.12.rdb3.conv5.weight')
    assert values == dict(i='12', j='2', k='4', leaf='weight')
    assert ours.fill(values) == 'blocks.12.blocks.2.layers.4.weight'
    assert theirs.fill(ours.match('blocks.12.blocks.2.layers.4.weight')) == (
        'body.12.rdb3.conv5.weight'
    )


@pytest.mark.parametrize(
    'name',
    [
        *('body.1.rdb0.conv1.weight', 'body.x.rdb1.conv1.weight'),
        *('body.1.rdb1.conv1', 'body.1.rdb1.conv1.a.weight'),
        'a.body.1.rdb1.conv1.weight',
    ],
)
def test_other_names(name):
    template = Template('body.{i}.rdb{j+1}.conv{k+1}.{leaf}', {}, ours=False)
    assert template.match(name) is None


def test_every_second_number():
    template = Template('convs.{2i+1}.weight', {}, ours=False)
    assert template.match('convs.7.weight') == dict(i='3')
    assert template.match('convs.6.weight') is None
    assert template.fill(dict(i='3')) == 'convs.7.weight'


def test_places_with_a_list():
    numbers = dict(size={'4': '0', '64': '4', '8': '1'})
    theirs = Template('b{size}.conv', numbers, ours=False)
    ours = Template('blocks.{size}.conv', numbers, ours=True)
    assert theirs.match('b64.conv') == dict(size='64')
    assert ours.match('blocks.4.conv') == dict(size='64')
    assert ours.fill(dict(size='8')) == 'blocks.1.conv'
    assert theirs.fill(dict(size='8')) == 'b8.conv'
    assert theirs.match('b16.conv') is None


def test_attention_is_in_the_list_of_blocks():
    blocks = [('0', None), (None, 'b'), ('2', '2'), ('3', None)]
    assert in_one_list(blocks) == dict(
        block={'0': '0', '2': '2', '4': '3'}, attention={'1': 'b', '3': '2'}
    )
