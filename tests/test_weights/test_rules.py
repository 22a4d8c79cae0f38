import torch

from mmamp.weights.norms import OF_U, right_vector
from mmamp.weights.rules import AXIS_BEFORE, Rule, Table


def test_what_no_rule_has_is_told():
    table = Table((Rule('a.{i}', 'b.{i}'),))
    found = table.read({'a.0': torch.ones(1), 'c.0': torch.ones(1)}, bgr=False)
    assert list(found.tensors) == ['b.0']
    assert found.unknown == ['c.0']


def test_what_a_rule_needs_beside_is_told():
    table = Table((Rule('a', 'b', OF_U),))
    found = table.read({'a.weight': torch.ones(2, 2)}, bgr=False)
    assert found.missing == ['a.u0']
    assert not found.tensors


def test_a_layout_and_back():
    table = Table((Rule('a', 'b', AXIS_BEFORE),))
    theirs = {'a': torch.randn(3, 4)}
    ours = table.read(theirs, bgr=False).tensors
    assert ours['b'].shape == (1, 3, 4)
    assert torch.equal(table.write(ours, bgr=False).tensors['a'], theirs['a'])


def test_colours_turn_with_what_belongs_to_them():
    weight = torch.randn(4, 3, 2, 2)
    u = torch.nn.functional.normalize(torch.randn(1, 4))
    for axis, turned in ((1, weight.flip(1)), (None, weight)):
        table = Table((Rule('a', 'b', OF_U, colours=axis),))
        ours = table.read({'a.weight': weight, 'a.u0': u}, bgr=True).tensors
        name = 'b.parametrizations.weight'
        assert torch.equal(ours[f'{name}.original'], turned)
        v = right_vector(turned, u[0])
        torch.testing.assert_close(ours[f'{name}.0._v'], v)
        back = table.write(ours, bgr=True).tensors
        assert torch.equal(back['a.weight'], weight)


def test_six_channels_are_two_images():
    table = Table((Rule('a', 'b', colours=1),))
    weight = torch.arange(6.0).view(1, 6)
    ours = table.read({'a': weight}, bgr=True).tensors['b']
    assert ours.tolist() == [[2, 1, 0, 5, 4, 3]]


def test_grey_images_have_no_order():
    table = Table((Rule('a', 'b', colours=1),))
    weight = torch.arange(4.0).view(4, 1)
    assert torch.equal(
        table.read({'a': weight}, bgr=True).tensors['b'], weight
    )
