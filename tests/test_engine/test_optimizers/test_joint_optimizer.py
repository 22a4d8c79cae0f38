import copy
import io

import pytest
import torch
from torch import nn

from mmamp.engine.optimizers.joint_optimizer import JointOptimizer


class Averaged(torch.optim.SGD):
    """Has modes, as schedule-free optimizers do."""

    mode = 'train'

    def train(self):
        self.mode = 'train'

    def eval(self):
        self.mode = 'eval'


class Keyed(torch.optim.SGD):
    """Has state that is no parameter's, as MADGRAD does."""

    def step(self, closure=None):
        self.state.setdefault('k', torch.zeros(1)).add_(1)
        return super().step(closure)


class Nested(torch.optim.Optimizer):
    """Has a format of its own, as Lookahead does."""

    def __init__(self, optimizer):
        self.optimizer, self.steps = optimizer, 0
        super().__init__(optimizer.param_groups, optimizer.defaults)

    def step(self, closure=None):
        self.steps += 1
        self.optimizer.step()

    def state_dict(self):
        return dict(steps=self.steps, inner=self.optimizer.state_dict())

    def load_state_dict(self, state_dict):
        self.steps = state_dict['steps']
        self.optimizer.load_state_dict(state_dict['inner'])
        self.param_groups = self.optimizer.param_groups


def params(count=2):
    torch.manual_seed(0)
    return [nn.Parameter(torch.randn(3, 2)) for _ in range(count)]


def joint(params, second=Keyed):
    first, *rest = params
    adam = torch.optim.Adam([dict(params=[first], lr=0.1)])
    sgd = second(
        [dict(params=[p], lr=0.1 * (i + 1)) for i, p in enumerate(rest)],
        lr=0.1,
        momentum=0.9,
    )
    return JointOptimizer([adam, sgd])


def step(optimizer, count=1):
    for seed in range(count):
        torch.manual_seed(seed)
        for group in optimizer.param_groups:
            for p in group['params']:
                p.grad = torch.randn_like(p)
        optimizer.step()


def test_steps_as_its_members_alone():
    together, apart = params(3), params(3)
    step(joint(together), 3)
    adam = torch.optim.Adam([apart[0]], lr=0.1)
    sgd = torch.optim.SGD(
        [dict(params=apart[1], lr=0.1), dict(params=apart[2], lr=0.2)],
        lr=0.1,
        momentum=0.9,
    )
    for seed in range(3):
        torch.manual_seed(seed)
        for p in apart:
            p.grad = torch.randn_like(p)
        adam.step()
        sgd.step()
    assert all(map(torch.equal, together, apart))


def test_groups_are_the_members_own():
    optimizer = joint(params(3))
    assert [g['lr'] for g in optimizer.param_groups] == [0.1, 0.1, 0.2]
    optimizer.param_groups[2]['lr'] = 0.5
    assert optimizer.members[1].param_groups[1]['lr'] == 0.5
    assert optimizer.defaults['betas'] == (0.9, 0.999)
    with pytest.raises(ValueError, match='members'):
        optimizer.add_param_group(dict(params=params()))


def test_state_is_the_members():
    weights = params()
    optimizer = joint(weights)
    assert not optimizer.state
    step(optimizer)
    assert set(optimizer.state) == {*weights, 'k'}
    assert 'momentum_buffer' in optimizer.state[weights[1]]
    assert optimizer.state.get('other') is None
    optimizer.zero_grad()
    assert all(p.grad is None for p in weights)


def test_a_closure_is_evaluated_once():
    weights, calls = params(), []

    def closure():
        calls.append(torch.is_grad_enabled())
        for p in weights:
            p.grad = torch.ones_like(p)
        return 3.0

    assert joint(weights).step(closure) == 3.0
    assert calls == [True]


@pytest.mark.parametrize('second', [Keyed, torch.optim.SGD])
def test_goes_on_from_a_saved_state(second):
    straight, begun = params(3), params(3)
    step(joint(straight, second), 3)
    first = joint(begun, second)
    step(first, 1)
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    # As torch has it: numbers of parameters through all groups.
    assert [g['params'] for g in saved['param_groups']] == [[0], [1], [2]]
    assert set(saved['state']) == {0, 1, 2}
    before = copy.deepcopy(saved)
    again = joint(begun, second)
    again.load_state_dict(saved)
    assert str(saved) == str(before)
    for seed in (1, 2):
        torch.manual_seed(seed)
        for p in begun:
            p.grad = torch.randn_like(p)
        again.step()
    assert all(map(torch.equal, straight, begun))
    assert again.param_groups[1] is again.members[1].param_groups[0]


def test_a_member_with_a_format_of_its_own():
    weights = params()
    members = [torch.optim.Adam([weights[0]]), None]

    def build():
        members[1] = Nested(torch.optim.SGD([weights[1]], momentum=0.9))
        return JointOptimizer(members)

    first = build()
    step(first, 2)
    again = build()
    again.load_state_dict(first.state_dict())
    assert again.members[1].steps == 2
    inner = again.members[1].optimizer.state[weights[1]]
    assert torch.equal(
        inner['momentum_buffer'],
        first.members[1].optimizer.state[weights[1]]['momentum_buffer'],
    )


def test_a_state_of_other_groups():
    with pytest.raises(ValueError, match=r'3 parameter groups, but Adam and'):
        joint(params(2)).load_state_dict(joint(params(3)).state_dict())


def test_modes_if_and_only_if_a_member_has_them():
    assert not hasattr(joint(params()), 'train')
    assert not hasattr(joint(params()), 'eval')
    optimizer = joint(params(), Averaged)
    optimizer.eval()
    assert optimizer.members[1].mode == 'eval'
    optimizer.train()
    assert optimizer.members[1].mode == 'train'


def test_a_copy_has_the_state():
    optimizer = joint(params(), Averaged)
    step(optimizer)
    copied = copy.deepcopy(optimizer)
    assert len(copied.state) == 2
    copied.eval()
    assert optimizer.members[1].mode == 'train'


def test_what_evaluates_the_loss_itself_is_refused():
    with pytest.raises(ValueError, match='LBFGS evaluates the loss'):
        JointOptimizer([torch.optim.LBFGS(params())])


def test_the_same_parameter_twice():
    weights = params()
    with pytest.raises(ValueError, match='more than one parameter group'):
        JointOptimizer([torch.optim.SGD(weights), torch.optim.Adam(weights)])
