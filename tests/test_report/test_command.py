"""Its mistakes, its log, its verdicts; trials of configs are beside it."""

import json
from pathlib import Path

import jsonschema
import pytest

from mmamp.report.command import main
from mmamp.report.verdict import best, sentence, speed

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / 'mmamp/report/schema.json').read_text())
DCGAN = 'configs/dcgan/dcgan_digits-32x32.py'


@pytest.mark.parametrize(
    ('argv', 'said'),
    [
        ([], 'either CONFIG or --from-log'),
        (['no.py'], "'no.py' does not exist"),
        (['a.py', '--from-log', 'b'], 'either CONFIG or --from-log'),
        ([DCGAN, '--iters', '3'], '--iters must be 10 or more, but got 3'),
        (['--from-log', 'nowhere'], "'nowhere'.*there is no such folder"),
        (['--from-log', 'configs'], 'it holds .*dcgan'),
        (
            [DCGAN, '--cfg-options', 'optim_wrapper=None'],
            'dcgan_digits-32x32.py: ',
        ),
    ],
)
def test_mistakes(argv, said, capsys, monkeypatch):
    import re

    monkeypatch.chdir(ROOT)
    assert main(argv) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith('amp_report: error: ')
    assert re.search(said, error), error


def test_unknown_dtype(capsys):
    with pytest.raises(SystemExit) as ended:
        main([DCGAN, '--dtypes', 'fp16'])
    assert ended.value.code == 2
    assert "invalid choice: 'fp16'" in capsys.readouterr().err


def test_from_the_log_of_a_run(build_runner, capsys, tmp_path):
    runner = build_runner(
        'gan', {'custom_hooks': [dict(type='AmpMonitorHook')]}
    )
    runner.train()
    out = tmp_path / 'out'
    argv = ['--from-log', runner.work_dir, '--out', str(out)]
    assert main(argv) == 0
    found = json.loads((out / 'report.json').read_text())
    jsonschema.validate(found, SCHEMA)
    (row,) = found['dtypes']
    assert row['steps'] == [2, 4]
    assert row['scales']['generator'] == [1024, 1024]
    assert row['skipped']['discriminator'] == [0, 0]
    assert len(row['losses']['loss_gen']) == 2
    assert found['verdict'].startswith('In 4 iterations ')
    assert 'generator skipped 0 steps' in found['verdict']
    page = (out / 'report.html').read_text()
    assert 'loss scale' in page
    assert page.count('<img') >= 5


LINES = [
    dict(step=10, lr=0.1, loss=2.0),
    dict(
        step=20, lr=0.1, loss=1.0, loss_new=3.0, loss_scale=2, skipped_steps=1
    ),
]


def test_a_curve_that_begins_late_and_a_line_that_was_cut(tmp_path, capsys):
    log = tmp_path / '20260101_000000/vis_data/scalars.json'
    log.parent.mkdir(parents=True)
    log.write_text('\n'.join([*map(json.dumps, LINES), '{"step": 3']))
    assert main(['--from-log', str(tmp_path)]) == 0
    assert 'the last line is cut off' in capsys.readouterr().out
    found = json.loads((tmp_path / 'report.json').read_text())
    jsonschema.validate(found, SCHEMA)
    (row,) = found['dtypes']
    assert row['losses'] == dict(loss=[2.0, 1.0], loss_new=[None, 3.0])
    assert row['skipped'] == {'': [None, 1]}
    text = 'its loss scale was 2 when first logged and 2 at last'
    assert text in found['verdict']
    # Anywhere else it is a mistake.
    log.write_text('\n'.join(['{"step": 3', *map(json.dumps, LINES)]))
    assert main(['--from-log', str(tmp_path)]) == 2
    assert 'scalars.json, line 1, is not JSON' in capsys.readouterr().err


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
def test_from_a_log_without_mixed_precision(build_runner, dtype):
    """In bfloat16 too: the run has no hook that writes of it."""
    runner = build_runner(
        'classifier', {'optim_wrapper.dtype': dtype, 'custom_hooks': []}
    )
    runner.train()
    assert main(['--from-log', runner.work_dir]) == 0
    found = json.loads(Path(runner.work_dir, 'report.json').read_text())
    text = 'no line of the log has a loss scale or skipped steps: the run was'
    assert text in found['verdict']
    assert 'or was too short' in found['verdict']


def row(dtype, seconds=1.0, memory=100, **kwargs):
    return dict(
        dtype=dtype,
        failed=None,
        damage=[],
        rules=[],
        seconds=dict(median=seconds),
        peak_memory=memory,
        **kwargs,
    )


class TestVerdict:
    reference = row('float32')

    def of(self, row, noise=1.01):
        return sentence(row, self.reference, noise)

    def test_pays(self):
        text = self.of(row('bfloat16', 0.55, 60))
        assert text.startswith("Turn bfloat16 on: 0.55 of float32's time")
        assert '0.60 of its memory; nothing is lost.' in text

    def test_skipped_steps_are_told(self):
        skipped = dict(generator=[0, 1, 2], discriminator=[0, 0, 0])
        text = self.of(row('float16', 0.55, 60, skipped=skipped))
        assert text.endswith('; nothing is lost but 2 skipped steps.')
        skipped = dict(generator=[0, 0])
        text = self.of(row('float16', 0.55, 60, skipped=skipped))
        assert 'skipped' not in text

    def test_does_not_beyond_noise(self):
        for time in (0.9, 1.1):
            text = self.of(row('bfloat16', time), noise=1.2)
            assert 'cannot be told, try more --iters' in text
        assert 'does not pay' in self.of(row('bfloat16', 1.3), noise=1.2)
        assert 'Turn' in self.of(row('bfloat16', 0.9), noise=1.05)

    def test_memory_alone_may_pay(self):
        assert self.of(row('bfloat16', 1.0, 60)).startswith('Turn')

    def test_memory_that_no_system_tells(self):
        text = sentence(
            row('bfloat16', 0.5, 0), row('float32', memory=0), noise=1.01
        )
        assert text.startswith('Turn bfloat16 on')
        assert 'memory' not in text

    def test_broken(self):
        broken = row('float16', 0.5)
        broken['damage'] = [dict(text='x makes values that are not finite')]
        assert self.of(broken).startswith('Leave float16 off: x makes')
        broken['rules'] = [dict(pattern='x', dtype='float32')]
        broken['with_rules'] = dict(seconds=dict(median=0.6), peak_memory=50)
        text = self.of(broken)
        assert text.startswith('Turn float16 on with 1 rule: 0.60 of')
        assert '0.60 of' in text

    def test_failed(self):
        failed = row('float16')
        failed['failed'] = 'out of memory'
        assert self.of(failed) == 'float16 did not run: out of memory.'
        failed['failed'] += '.'
        assert self.of(failed) == 'float16 did not run: out of memory.'

    def test_the_best(self):
        rows = [row('bfloat16', 0.6), row('float16', 0.5)]
        assert best(rows, self.reference, 1.01).startswith('Turn float16 on')
        slow = [row('bfloat16', 2.0), row('float16', 3.0)]
        assert best(slow, self.reference, 1.01) == (
            'Stay in float32 here: bfloat16 takes 2.00 of its time, float16 '
            'takes 3.00 of its time.'
        )

    def test_of_what_cannot_be_told_nothing_is_said(self):
        rows = [row('bfloat16', 0.85), row('float16', 0.80)]
        text = best(rows, self.reference, 1.3)
        assert text.startswith('float16 works; whether it pays cannot be told')

    def test_noise_that_is_not_known(self):
        text = self.of(row('bfloat16', 0.5), noise=None)
        assert 'cannot be told' in text
        assert 'its second run failed' in text
        assert self.of(row('bfloat16', 0.5, 50), None).startswith('Turn')
        assert 'does not pay' in self.of(row('bfloat16', 1.5), None)

    def test_speed_leaves_the_warm_up_out(self):
        assert speed([9.0, 9.0, *[1.0] * 8]) == dict(
            median=1.0, low=1.0, high=1.0
        )
