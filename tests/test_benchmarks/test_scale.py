"""Of ``tools/scale.py``: what it counts, and what it writes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from has_fsdp2 import HAS_FSDP2, WHY

from benchmarks.scale import command
from benchmarks.scale.command import MARKS, PAGES, RANKS, STRATEGIES, tables
from benchmarks.scale.models import MODELS

ROOT = Path(__file__).parents[2]


def trial(strategy, ranks):
    done = subprocess.run(
        [
            *(sys.executable, '-W', 'ignore', '-m', 'benchmarks.scale.trial'),
            *('DCGAN, 32', strategy, str(ranks)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.skipif(not HAS_FSDP2, reason=WHY)
def test_what_a_rank_of_eight_sends_and_holds():
    """As real ranks were seen to: test_fsdp2_strategy.py counts these."""
    ddp, parts = trial('DDP', 8), trial('FSDP2', 8)
    assert parts['calls'] == {
        'all-gather': 8,
        'reduce-scatter': 2,
        'all-reduce': 2,
    }
    assert ddp['calls']['all-reduce'] == 2
    # Both networks' gradients, as a ring reduces them: 2 (n - 1) / n. What is
    # held is weights, gradients and two moments, but for statistics.
    grads = ddp['held'] / 4
    assert ddp['sent'] == pytest.approx(2 * 7 / 8 * grads, rel=0.1)
    assert parts['held'] == pytest.approx(ddp['held'] / 8, rel=0.1)
    assert parts['whole'] == ddp['whole']
    assert parts['part'] <= parts['held']
    assert parts['planning'] > 0


def test_tables():
    row = dict(
        calls={'all-reduce': 2},
        sent=2**20,
        with_penalties=dict(sent=2**21),
        held=3 * 2**20,
        whole=4096 * 2**20,
        part=2**19,
        planning=1.25,
    )
    keys = [('A', 'DDP', 8), ('A', 'FSDP2', 4096)]
    found = {k: dict(row, strategy=k[1], ranks=k[2], name=k[0]) for k in keys}
    text = tables(found)
    assert '**A, DDP**' in text
    assert (
        '| 8 | 2 all-reduce | 1 | 2 | 3 | 4,096 | 4,096 by the first | - |'
        in text
    )
    assert '| 4,096 | 2 all-reduce | 1 | 2 | 3 | 4,096 | 0.5 | 1.25 |' in text


def test_what_is_there_is_not_counted_again(tmp_path, capsys):
    rows = [
        dict(
            name=name,
            strategy=strategy,
            ranks=ranks,
            calls={},
            sent=0,
            with_penalties=dict(sent=0),
            held=0,
            whole=0,
            part=0,
            planning=0.0,
        )
        for name in MODELS
        for strategy, numbers in STRATEGIES.items()
        for ranks in numbers
    ]
    results = tmp_path / 'scale.jsonl'
    results.write_text(''.join(f'{json.dumps(x)}\n' for x in rows))
    assert command.main(['--results', str(results)]) == 0
    out = capsys.readouterr().out
    assert out.count('**') == 2 * len(MODELS) * len(STRATEGIES)


@pytest.mark.parametrize('page', PAGES, ids=lambda x: x.parent.name)
def test_the_pages_have_all_of_it(page):
    text = page.read_text(encoding='utf-8')
    begin, end = (text.index(mark) for mark in MARKS)
    inside = text[begin:end]
    for name in MODELS:
        for strategy in STRATEGIES:
            assert f'**{name}, {strategy}**' in inside
    assert inside.count(f'| {RANKS[-1]:,} |') == len(MODELS) * len(STRATEGIES)


def test_a_typo(capsys):
    with pytest.raises(SystemExit) as error:
        command.main(['--models', 'DCGAN'])
    assert error.value.code == 2
    assert "'DCGAN'" in capsys.readouterr().err
