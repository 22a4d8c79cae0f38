"""`tools/dev/toolbox_table.py`, without a toolbox."""

import json
import subprocess

import pytest
import toolbox_table
from toolbox_table import (
    GROUPS,
    MARKS,
    Entry,
    gathered,
    line,
    lines_of,
    passed,
    path_of,
    read,
    run,
    tables,
)

ENTRY = Entry('mmdet', 'detr/detr.py')


@pytest.fixture
def rows():
    """What came of a config that passed."""
    trained = dict(
        code=0,
        rules=[],
        first=2.0,
        norms=dict(grad_norm=4.0),
        largest=4.0,
        skipped=0.0,
        validated=True,
        by_itself=False,
        gave_up=False,
    )
    return dict(
        float32=dict(trained),
        amp=dict(trained, first=2.002, norms=dict(grad_norm=4.04)),
        float16=dict(trained),
        resumed=dict(code=0, exact=True, differ=[]),
        own=dict(code=0, saved=True, validated=True, why=''),
        report=dict(code=0, verdict='Turn it on.'),
    )


def test_one_that_passed(rows):
    assert passed(line(ENTRY, rows))
    assert line(ENTRY, rows) == (
        '`detr/detr.py`',
        'validated, 4',
        '1.001, 1.010',
        '1.000, 1.000',
        'exact',
        'yes',
        'yes',
        '',
    )


@pytest.mark.parametrize(
    ('way', 'change'),
    [
        ('amp', dict(code=1)),
        ('float16', dict(validated=False)),
        ('float16', dict(largest=None, skipped=8.0)),
        ('resumed', dict(exact=False)),
        ('own', dict(code=1)),
    ],
)
def test_one_way_that_failed_is_enough(rows, way, change):
    rows[way].update(change)
    assert not passed(line(ENTRY, rows))


def test_what_it_took_and_why_not(rows):
    rows['amp'].update(rules=['head'], gave_up=True, by_itself=True)
    rows['float16'] = dict(code=1, rules=[], why='ValueError: a | b')
    rows['resumed'].update(exact=False, differ=['backbone.weight'])
    cells = line(ENTRY, rows)
    assert cells[3] == 'no'
    assert cells[4] == 'not exact'
    assert cells[-1] == (
        'float32 in bfloat16: `head`; '
        'no `optim_context`: networks in autocast by themselves; '
        'validated in float32; differs: `backbone.weight`; '
        'float16: `ValueError: a / b`'
    )


def test_nothing_that_was_trained_is_said(rows):
    rows['float16'].update(norms={}, largest=None, skipped=8.0)
    cells = line(ENTRY, rows)
    assert cells[3] == '1.000, 8 skipped'
    assert cells[-1] == 'every window skipped in float16'


def test_of_several_optimizers_the_norm_that_is_farthest_off(rows):
    rows['float32']['norms'] = {'g.grad_norm': 1.0, 'd.grad_norm': 2.0}
    # The discriminator's first window was skipped.
    rows['amp'].update(norms={'g.grad_norm': 0.5}, skipped=1.0)
    rows['float16']['norms'] = {'g.grad_norm': 1.1, 'd.grad_norm': 1.0}
    cells = line(ENTRY, rows)
    assert cells[2] == '1.001, 0.500, 1 skipped'
    assert cells[3] == '1.000, 0.500'


def test_a_table_for_each_toolbox(rows):
    other = dict(rows, own=dict(code=1, why='it fell'))
    entries = [ENTRY, Entry('mmdet', 'b.py'), Entry('mmseg', 'c.py')]
    found = {
        entry: line(entry, row)
        for entry, row in zip(entries, (rows, other, rows), strict=True)
    }
    versions = dict(torch='2.13.0', mmdet='3.3.0', mmsegmentation='1.2.2')
    text = tables(found, versions)
    assert text.startswith(
        'With torch 2.13.0.\n\n2 of 3 configs passed in every way.\n\n'
        '**mmdet 3.3.0**: 1 of 2\n\n| config |'
    )
    assert '**mmsegmentation 1.2.2**: 1 of 1' in text
    assert '| `c.py` | validated, 4 |' in text


def test_what_was_not_trained_here_stays(tmp_path, rows):
    others = [Entry('mmdet', x) for x in ('old.py', 'again.py', 'never.py')]
    old = {entry: line(entry, rows) for entry in others[:2]}
    page = tmp_path / 'page.md'
    text = tables({ENTRY: line(ENTRY, rows), **old}, dict(mmdet='3.3.0'))
    page.write_text(f'{MARKS[0]}\n{text}\n{MARKS[1]}')
    report = dict(report=dict(code=1, why='it fell'))
    again = {k: v for k, v in rows.items() if k != 'report'}
    again['amp'] = dict(again['amp'], first=3.0)
    found = gathered(
        {
            ENTRY: report,
            others[0]: {},
            others[1]: again,
            others[2]: dict(float32=rows['float32']),
        },
        lines_of(page),
    )
    whole = line(ENTRY, rows)
    assert found == {
        ENTRY: (*whole[:-2], 'no', whole[-1]),
        others[0]: line(others[0], rows),
        # With the report that was there.
        others[1]: line(others[1], dict(again, report=rows['report'])),
    }


def test_what_was_done_is_not_done_again(tmp_path, monkeypatch, rows):
    calls = []

    def subprocess_run(command, **kwargs):
        calls.append(command)
        ways = [x for x in command[8:] if x != 'own']
        out = ''.join(
            json.dumps(dict(name=ENTRY.name, way=way, **rows[way])) + '\n'
            for way in ways
        )
        return subprocess.CompletedProcess(command, 124, out, '')

    monkeypatch.setattr(toolbox_table.subprocess, 'run', subprocess_run)
    for groups in (GROUPS[:1], GROUPS, GROUPS):
        run(ENTRY, tmp_path, 'python', groups)
    assert [len(x) - 8 for x in calls] == [5, 1]
    found = read(path_of(ENTRY, tmp_path))
    assert found['amp']['first'] == 2.002
    assert found['own']['why'] == 'not done after 3600 s'
    assert found['report']['code'] == 0
