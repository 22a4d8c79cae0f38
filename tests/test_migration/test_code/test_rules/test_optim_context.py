import libcst as cst
import pytest

from mmamp.migration.code.notes import Notes
from mmamp.migration.code.rules import optim_context as rule
from mmamp.migration.findings import Outcome

HEAD = """
class GAN(Base):
    def train_step(self, data, optimizer):
"""


def step(*lines: str) -> str:
    return HEAD + ''.join(f'        {line}\n' for line in lines)


@pytest.fixture
def once():
    """What one run makes of a step: a second run would do it again, and only
    the signature keeps it from that."""

    def apply(*lines: str) -> str:
        module = cst.parse_module(step(*lines).lstrip('\n'))
        return rule.apply(module, Notes(module)).code

    return apply


def test_forward_and_loss_are_in_the_context(once):
    assert once(
        'set_requires_grad(self.disc, True)',
        '# predictions',
        'pred = self.disc(',
        '    data)',
        'loss, logs = self.parse_losses(pred)',
        'all_logs.update(logs)',
        '# optimize',
        "optimizer['disc'].update_params(loss)",
        'set_requires_grad(self.disc, False)',
        "name = 'x'",
        'loss = self.gen_loss(name)',
        'loss = loss * 2',
        "optimizer['gen'].update_params(loss)",
    ) == step(
        'set_requires_grad(self.disc, True)',
        "with optimizer['disc'].optim_context(self.disc):",
        '    # predictions',
        '    pred = self.disc(',
        '        data)',
        '    loss, logs = self.parse_losses(pred)',
        'all_logs.update(logs)',
        '# optimize',
        "optimizer['disc'].update_params(loss)",
        'set_requires_grad(self.disc, False)',
        "name = 'x'",
        "with optimizer['gen'].optim_context(self.gen):",
        '    loss = self.gen_loss(name)',
        '    loss = loss * 2',
        "optimizer['gen'].update_params(loss)",
    ).lstrip('\n')


def test_a_shared_forward_pass_has_a_context_of_its_own(once):
    assert once(
        'fake = self.generator(data)',
        'if x:',
        '    loss = self.loss(fake)',
        "    optimizer['generator'].update_params(loss)",
        'with torch.no_grad():',
        '    y = self.generator(data)',
    ) == step(
        "with optimizer['generator'].optim_context(self.generator):",
        '    fake = self.generator(data)',
        'if x:',
        "    with optimizer['generator'].optim_context(self.generator):",
        '        loss = self.loss(fake)',
        "    optimizer['generator'].update_params(loss)",
        'with torch.no_grad():',
        '    y = self.generator(data)',
    ).lstrip('\n')


def test_a_single_optimizer_is_for_all_of_the_model(once):
    assert once(
        'loss = self(data)',
        'optimizer.update_params(loss)',
    ) == step(
        'with optimizer.optim_context(self):',
        '    loss = self(data)',
        'optimizer.update_params(loss)',
    ).lstrip('\n')


def test_nothing_is_put_around_what_computes_nothing(once):
    lines = ('loss = a * b', 'optimizer.update_params(loss)')
    assert once(*lines) == step(*lines).lstrip('\n')


def test_a_forward_pass_of_nobody_is_warned_of():
    module = cst.parse_module(
        step(
            'x = self(data)',
            'if y:',
            '    loss = self.loss(x)',
            "    optimizer['a'].update_params(loss)",
            '    loss = self.loss(x)',
            "    optimizer['b'].update_params(loss)",
        )
    )
    notes = Notes(module)
    rule.apply(module, notes)
    (warned,) = (x for x in notes.findings if x.outcome is Outcome.WARNED)
    assert warned.line == 4
    assert 'float32' in warned.reason


def test_other_functions_stay(stays):
    stays(rule, 'def f(x):\n    x.backward()\n')
