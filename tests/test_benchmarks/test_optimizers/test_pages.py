"""Of ``benchmarks.optimizers.pages``."""

from pathlib import Path

from benchmarks.optimizers.pages import MARKS, PAGES, plain, report

ROOT = Path(__file__).parents[3]

ROW = dict(
    package='torch',
    version='2.13.0',
    path='torch.optim.AdamW',
    dtype='float32',
    verdict='right',
    reason='',
    note='',
    trains=True,
    skips=True,
    resumes=True,
    schedules=True,
    time=1.004,
    memory=None,
)
WRONG = dict(
    ROW,
    dtype='float16',
    verdict='wrong',
    reason='a|b',
    skips=False,
    time=None,
)


def test_report():
    _, summary, heading, table = report([ROW, WRONG], 'command')
    assert summary.splitlines()[-1] == '| torch 2.13.0 | 1 | 0 | 0 | 1 | 0 |'
    assert heading == '## torch 2.13.0'
    assert table.splitlines()[-1] == (
        '| `torch.optim.AdamW` | right |  | wrong (skips) | followed | 1.00 '
        '|  | a\\|b |'
    )


def test_text_is_no_markup():
    assert plain('a [b]\n `c`') == 'a \\[b\\] \\`c\\`'
    assert plain('long text', 4) == 'long …'


def test_the_pages_have_the_marks():
    for path in PAGES:
        page = (ROOT / path).read_text()
        assert [page.count(mark) for mark in MARKS] == [1, 1]
