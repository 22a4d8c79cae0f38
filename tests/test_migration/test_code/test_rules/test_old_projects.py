import libcst as cst
import pytest

from mmamp.migration.code.notes import Notes
from mmamp.migration.code.rules import old_projects as rule


@pytest.mark.parametrize(
    'line',
    [
        'from mmgen.core import tensor2img',
        'import mmedit.core.evaluation as evaluation',
        'import mmedit',
    ],
)
def test_they_are_named(line):
    module = cst.parse_module(f'import math\n{line}\n')
    notes = Notes(module)
    assert rule.apply(module, notes) is module
    (finding,) = notes.findings
    assert finding.line == 2
    assert line.split()[1] in finding.reason
    assert finding.outcome.name == 'OUTSIDE'


def test_others_are_not():
    module = cst.parse_module('import mmgenius\nfrom . import mmgen\n')
    notes = Notes(module)
    rule.apply(module, notes)
    assert notes.findings == []
