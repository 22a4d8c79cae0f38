from pathlib import Path

import libcst as cst
import pytest

from mmamp.migration import code
from mmamp.migration.code import UnreadableSource, migrate_code
from mmamp.migration.findings import Outcome
from mmamp.migration.rule import Rule

PATH = Path('model.py')


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        ('x = 1\ny = (\n', 'line 2'),
        ('print "x"\n', 'line 1'),
        ('x\0y', 'null bytes'),
        ('\tx\n y', 'line'),
    ],
)
def test_what_is_not_python_is_refused(text, reason):
    with pytest.raises(UnreadableSource, match=reason) as error:
        migrate_code(text, PATH)
    assert isinstance(error.value, ValueError)


def test_a_text_of_others_stays():
    text = 'import math\r\n\r\nx = math.pi  # three\r\n'
    result = migrate_code(text, PATH)
    assert not result.is_changed
    assert result.findings == []


def test_line_ends_stay():
    text = 'from mmcv.runner import BaseModule\r\nx = BaseModule\r\n'
    after = migrate_code(text, PATH).after
    assert (
        after == 'from mmengine.model import BaseModule\r\nx = BaseModule\r\n'
    )


def test_findings_are_in_the_order_of_lines_as_they_were():
    text = (
        'from mmcv.runner import auto_fp16, load_checkpoint\n'
        'class A(B):\n'
        '    def train_step(self, data, optimizer):\n'
        '        loss = self(data)\n'
        '        optimizer.zero_grad()\n'
        '        loss.backward()\n'
        '        optimizer.step()\n'
        '        return self.finish()\n'
    )
    result = migrate_code(text, PATH)
    lines = [x.line for x in result.findings]
    assert lines == sorted(lines)
    assert {1, 3, 4, 6, 8} <= set(lines)
    (todo,) = result.of(Outcome.TODO)
    assert (todo.line, todo.rule) == (8, 'step_return')


@pytest.mark.parametrize('harm', ['raises', 'does not parse', 'no comment'])
def test_a_rule_that_goes_wrong_is_not_applied(monkeypatch, harm):
    def apply(module, notes):
        notes.changed(module, 'this must not be said')
        if harm == 'raises':
            raise KeyError('what')
        if harm == 'no comment':
            return cst.parse_module('x = 2\n')
        name = cst.Name('class')
        return module.with_changes(
            body=[cst.SimpleStatementLine([cst.Expr(name)])]
        )

    bad = Rule('bad', 'what is good', apply, ('x',))
    monkeypatch.setattr(code, 'RULES', (bad,))
    text = 'x = 1  # kept\n'
    result = migrate_code(text, PATH)
    assert result.after == text
    (finding,) = result.findings
    assert (finding.line, finding.rule) == (0, 'bad')
    assert finding.outcome is Outcome.TODO
    assert 'what is good is left to do' in finding.reason
