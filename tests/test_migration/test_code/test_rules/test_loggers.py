import pytest

from mmamp.migration.code.rules import loggers as rule

IMPORTS = """
import mmcv
import mmcv.utils as U
from mmcv.utils import print_log
from mmcv.utils import print_log as say
from mmengine.logging import print_log as new
"""


@pytest.mark.parametrize(
    'call', ['mmcv.print_log', 'U.print_log', 'print_log', 'say', 'new']
)
@pytest.mark.parametrize(
    ('old', 'new'),
    [
        ("'hello', 'mmgen'", "'hello', 'current'"),
        ("'hello', logger='mmdet'", "'hello', logger='current'"),
        ("'a', logger=f'{x}', level=1", "'a', logger='current', level=1"),
    ],
)
def test_the_current_one(becomes, call, old, new):
    becomes(rule, f'{IMPORTS}{call}({old})\n', f'{IMPORTS}{call}({new})\n')


@pytest.mark.parametrize(
    'args',
    ["'a'", "'a', None", "'a', 'silent'", "'a', logger='current'", "'a', log"],
)
def test_what_is_none_or_there_stays(stays, args):
    stays(rule, f'{IMPORTS}print_log({args})\n')


def test_other_functions_stay(stays):
    stays(rule, "from mine import print_log\nprint_log('a', 'mmgen')\n")
