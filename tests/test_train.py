"""The launcher, as a user meets it: real runs, real files."""

import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.runner import Runner

from mmamp.config.hooks import HOOKS as LAUNCHER_HOOKS
from mmamp.errors import Preempted
from mmamp.launcher.arguments import build_parser
from mmamp.launcher.edits import TRAIN, read_config
from mmamp.registry import HOOKS
from mmamp.train import main

ROOT = Path(__file__).parents[1]
DCGAN = str(ROOT / 'configs/dcgan/dcgan_digits-32x32.py')
BIGGAN = str(ROOT / 'configs/biggan/biggan_digits-32x32.py')
TINY = [
    'train_dataloader.batch_size=4',
    'default_hooks.logger.interval=1',
    'default_hooks.checkpoint.interval=2',
    'randomness.seed=0',
    # A validation takes longer than all the rest.
    'val_dataloader=None',
    'val_cfg=None',
    'val_evaluator=None',
    'default_hooks.checkpoint.save_best=None',
]
NUMBERS = itertools.count()
AMP_DTYPES = ('float16', 'bfloat16')
TINY_DCGAN = [
    *TINY,
    'model.generator.base_channels=2',
    'model.discriminator.base_channels=2',
]


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    """The launcher sets variables; tests after this one start without."""
    for name in (
        'LOCAL_RANK',
        'TORCH_FORCE_WEIGHTS_ONLY_LOAD',
        'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD',
    ):
        monkeypatch.setenv(name, '0')
        monkeypatch.delenv(name)


def train(tmp_path, *args, iters=3, options=TINY_DCGAN, config=DCGAN):
    return main(
        [
            config,
            '--work-dir',
            str(tmp_path),
            *args,
            '--cfg-options',
            *options,
            f'train_cfg.max_iters={iters}',
            # Two runs in one second would share what MMEngine keeps by name.
            f'experiment_name=run{next(NUMBERS)}',
        ]
    )


@HOOKS.register_module(force=True)
class KeepBeginning(Hook):
    """The model as the run found it."""

    state = None

    def before_train(self, runner):
        items = runner.model.state_dict().items()
        type(self).state = {k: v.clone() for k, v in items}


class StopAt(Hook):
    """The scheduler's signal in one iteration."""

    def __init__(self, iteration):
        self.iteration = iteration

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.iteration:
            os.kill(os.getpid(), signal.SIGTERM)


def log_of(work_dir):
    logs = sorted(Path(work_dir).glob('*/*.log'))
    return logs[-1].read_text()


def scalars_of(work_dir):
    file = sorted(Path(work_dir).glob('*/vis_data/scalars.json'))[-1]
    return [json.loads(line) for line in file.read_text().splitlines()]


def refused(args, capsys):
    """Exit code 2 and one line; returns the line."""
    try:
        code = main([str(a) for a in args])
    except SystemExit as exit_:  # from argparse
        code = exit_.code
    assert code == 2
    err = capsys.readouterr().err
    assert 'Traceback' not in err
    lines = [x for x in err.splitlines() if ': error: ' in x]
    assert len(lines) == 1, err
    assert err.rstrip().splitlines()[-1] == lines[0], err
    return lines[0]


class TestAmp:
    def test_float32_and_amp_from_the_same_file(self, tmp_path):
        assert train(tmp_path / 'a') == 0
        assert 'Mixed precision' not in log_of(tmp_path / 'a')
        assert train(tmp_path / 'b', '--amp') == 0
        log = log_of(tmp_path / 'b')
        for name in ('generator', 'discriminator'):
            assert (
                f'{name}: OptimWrapper (float32) -> mmamp.AmpOptimWrapper'
                in log
            )
            assert f"optim_wrapper['{name}']: AmpOptimWrapper with Adam" in log

    @pytest.mark.parametrize('dtype', ['float16', 'bfloat16', 'auto'])
    def test_dtype_and_scale(self, tmp_path, dtype):
        args = ('--amp', '--amp-dtype', dtype, '--loss-scale', '256')
        assert train(tmp_path, *args) == 0
        scalars = scalars_of(tmp_path)[-1]
        assert scalars['generator.skipped_steps'] == 0
        assert scalars['discriminator.grad_norm'] > 0
        if dtype == 'float16':
            assert scalars['generator.loss_scale'] == 256
        else:
            assert 'generator.loss_scale' not in scalars

    def test_dumped_config_trains_again_by_itself(self, tmp_path):
        assert train(tmp_path / 'a', '--amp', '--amp-dtype', 'bfloat16') == 0
        dumped = str(tmp_path / 'a' / Path(DCGAN).name)
        code = train(tmp_path / 'b', config=dumped, options=[])
        assert code == 0
        first, second = (
            Config.fromfile(str(tmp_path / x / Path(DCGAN).name)) for x in 'ab'
        )
        for cfg in (first, second):
            cfg.pop('work_dir')
            cfg.pop('experiment_name')
        assert first._cfg_dict == second._cfg_dict
        a, b = (scalars_of(tmp_path / x)[-1] for x in 'ab')
        assert a['loss_gen'] == b['loss_gen']  # the seed is in there too

    def test_on_a_config_in_mixed_precision_already(self, tmp_path):
        before = Config.fromfile(BIGGAN)
        args = build_parser().parse_args([BIGGAN, '--amp'])
        cfg = read_config(args, TRAIN)
        assert cfg.optim_wrapper == before.optim_wrapper
        args = build_parser().parse_args(
            [BIGGAN, '--amp', '--amp-dtype', 'float16']
        )
        cfg = read_config(args, TRAIN)
        for name in ('generator', 'discriminator'):
            assert cfg.optim_wrapper[name].pop('dtype') == 'float16'
        assert cfg.optim_wrapper == before.optim_wrapper

    def test_biggan_trains_with_accumulation(self, tmp_path):
        options = [
            *TINY,
            'train_dataloader.batch_size=2',
            'model.generator.base_channels=2',
            'model.discriminator.base_channels=2',
        ]
        code = train(
            tmp_path, '--amp', iters=9, options=options, config=BIGGAN
        )
        assert code == 0
        assert 'in mixed precision already' in log_of(tmp_path)
        counters = torch.load(tmp_path / 'iter_9.pth', weights_only=True)
        for state in counters['optimizer'].values():
            counters = dict(windows=2, skipped=0, stuck=0)
            assert state['amp_counters'] == counters


class TestOutput:
    def test_pictures_scalars_progress(self, tmp_path):
        options = [*TINY_DCGAN, 'custom_hooks.2.interval=2']
        assert train(tmp_path, '--amp', iters=5, options=options) == 0
        pictures = sorted(
            p.name for p in tmp_path.glob('*/vis_data/vis_image/*.png')
        )
        assert pictures == ['samples_2.png', 'samples_4.png', 'samples_5.png']
        assert len(scalars_of(tmp_path)) == 5
        log = log_of(tmp_path)
        assert 'Iter(train) [4/5]' in log
        assert 'eta:' in log
        assert 'Samples: ' in log
        assert 'Failed to search registry' not in log

    def test_the_first_screen(self, tmp_path, capsys):
        args = ('--amp', '--amp-dtype', 'bfloat16')
        assert train(tmp_path, *args, iters=2) == 0
        out = capsys.readouterr().out
        before = out.partition('Iter(train)')[0].splitlines()
        assert len(before) < 30, out
        (log,) = tmp_path.glob('*/*.log')
        for line in (
            'Training ImageGAN: generator (DCGANGenerator, ',
            ' parameters), discriminator (DCGANDiscriminator, ',
            '    on: ',
            '    data: DigitsDataset, 1,797 samples, 4 in a batch',
            '    precision: bfloat16 on ',
            '    for: 2 iterations',
            f'    to: {tmp_path}; the config, the environment and the hooks '
            f'are in {log}',
        ):
            assert out.count(line) == 1, line
        assert out.count('bfloat16 on ') == 1
        text = log.read_text()
        for line in ('System environment:', 'Config:', 'Hooks will be exec'):
            assert line in text
            assert line not in out
        assert text.count('bfloat16 on ') == 3

    def test_checkpoints_that_are_written_over(self, tmp_path):
        assert train(tmp_path, iters=2) == 0
        assert 'earlier run' not in log_of(tmp_path)
        assert train(tmp_path, iters=2) == 0
        log = log_of(tmp_path)
        assert 'WARNING' in log
        assert f'Work dir {str(tmp_path)!r} has checkpoints of an ear' in log
        assert '(iter_2.pth)' in log
        assert 'give --resume, to keep them another folder' in log
        # Told of nothing else: the lock was let go of.
        assert 'ended at once' not in log

    def test_default_work_dir(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        args = build_parser().parse_args([DCGAN])
        assert (
            read_config(args, TRAIN).work_dir == 'work_dirs/dcgan_digits-32x32'
        )

    def test_hooks_are_added_where_they_lack_and_it_says_so(
        self, tmp_path, mm_log
    ):
        config = tmp_path / 'c.py'
        config.write_text(
            f"_base_ = {DCGAN!r}\ncustom_hooks = [dict(type='StateHook')]\n"
        )
        cfg = read_config(build_parser().parse_args([str(config)]), TRAIN)
        types = [hook['type'] for hook in cfg.custom_hooks]
        added = [x for x in LAUNCHER_HOOKS if x != 'StateHook']
        assert types == ['StateHook', *(f'mmamp.{x}' for x in added)]
        log = mm_log()
        assert f'Added to custom_hooks: {", ".join(added)}' in log
        assert cfg.default_hooks.checkpoint.type == 'mmamp.CheckpointHook'
        assert 'CheckpointHook -> mmamp.CheckpointHook' in log
        assert cfg.train_dataloader.sampler.type == 'mmamp.SeededSampler'
        assert 'seeded by the position' in log


class TestResume:
    def test_goes_on_as_an_undisturbed_run(self, tmp_path):
        assert train(tmp_path / 'a', '--amp', iters=8) == 0
        work_dir = tmp_path / 'b'
        assert train(work_dir, '--amp', iters=4) == 0
        assert train(work_dir, '--amp', '--resume', iters=8) == 0
        log = log_of(work_dir)
        assert 'resumed epoch: 0, iter: 4' in log
        steps = [x['step'] for x in scalars_of(work_dir)]
        assert steps[-4:] == [5, 6, 7, 8]
        assert steps.count(4) <= 1
        a, b = (
            torch.load(tmp_path / x / 'iter_8.pth', weights_only=True)
            for x in 'ab'
        )
        for key, value in a['state_dict'].items():
            assert torch.equal(b['state_dict'][key], value), key

    def test_a_chain_of_precisions(self, tmp_path):
        """Weights and moments come along; what is not needed is dropped."""
        config = tmp_path / 'c.py'
        hooks = "custom_hooks = [dict(type='KeepBeginning')]"
        config.write_text(f'_base_ = {DCGAN!r}\n{hooks}\n')
        work_dir = tmp_path / 'run'  # it gets a copy of the config
        float16, bfloat16 = (
            ['--amp', f'--amp-dtype={dtype}'] for dtype in AMP_DTYPES
        )
        fixed = '--loss-scale=8'
        legs = [
            *([], [*float16, fixed], [*bfloat16, fixed], [*float16, fixed]),
            *([], ['--amp'], [], bfloat16),
            # Of a dynamic scale, which may skip steps.
            *(float16, bfloat16),
        ]
        before = None
        for i, leg in enumerate(legs):
            begin, end = 2 * i, 2 * (i + 1)
            path = str(work_dir / f'iter_{begin}.pth')
            # The latest there is, or one that is named.
            resume = [[], ['--resume'], ['--resume', path]][i and 1 + i % 2]
            args = [*leg, *resume]
            assert train(work_dir, *args, iters=end, config=str(config)) == 0
            if before is not None:
                assert f'iter: {begin}' in log_of(work_dir)
                for name, value in KeepBeginning.state.items():
                    assert torch.equal(value, before['state_dict'][name])
            path = work_dir / f'iter_{end}.pth'
            before = torch.load(path, weights_only=True)
            optimizer = before['optimizer']['discriminator']
            steps = {float(x['step']) for x in optimizer['state'].values()}
            assert steps == {end} or i > 7
            has_scale = bool(optimizer.get('loss_scaler'))
            assert has_scale == (leg[:2] == float16)

    def test_a_truncated_newest_falls_back(self, tmp_path):
        assert train(tmp_path, '--amp', iters=4) == 0
        newest = tmp_path / 'iter_4.pth'
        newest.write_bytes(newest.read_bytes()[:-1000])
        assert train(tmp_path, '--amp', '--resume', iters=5) == 0
        log = log_of(tmp_path)
        assert 'trying the one before' in log
        assert 'iter: 2' in log

    def test_the_seed_of_the_run_goes_on(self, tmp_path):
        """Without one in the config each run draws its own."""
        options = [x for x in TINY_DCGAN if 'seed' not in x]
        assert train(tmp_path, iters=2, options=options) == 0
        first = torch.load(tmp_path / 'iter_2.pth', weights_only=True)
        args = ('--resume',)
        assert train(tmp_path, *args, iters=4, options=options) == 0
        second = torch.load(tmp_path / 'iter_4.pth', weights_only=True)
        assert first['meta']['seed'] == second['meta']['seed']
        assert 'the seed is' in log_of(tmp_path)

    def test_in_an_epoch(self, tmp_path):
        """An epoch-based run that was stopped goes on where it was."""
        config = tmp_path / 'epochs.py'
        config.write_text(
            f'_base_ = {DCGAN!r}\n'
            'train_cfg = dict(_delete_=True, by_epoch=True, max_epochs=2)\n'
            'train_dataloader = dict(batch_size=300, drop_last=True, '
            "sampler=dict(type='DefaultSampler', shuffle=True))\n"
        )
        options = [x for x in TINY_DCGAN if 'batch_size' not in x]
        command = ['--amp', '--work-dir']
        ends = {}
        for name, stops in (('a', [None]), ('b', [7, None])):
            for i, stop in enumerate(stops):
                resume = ['--resume'] if i else []
                cfg = read_config(
                    build_parser().parse_args(
                        [
                            str(config),
                            *command,
                            str(tmp_path / name),
                            *resume,
                            '--cfg-options',
                            *options,
                            f'experiment_name=run{next(NUMBERS)}',
                        ]
                    ),
                    TRAIN,
                )
                runner = Runner.from_cfg(cfg)
                if stop is not None:
                    runner.register_hook(StopAt(stop))
                    with pytest.raises(Preempted):
                        runner.train()
                else:
                    runner.train()
            ends[name] = runner.model.state_dict()
            assert runner.iter == 10
        for key, value in ends['a'].items():
            assert torch.equal(ends['b'][key], value), key

    def test_a_copied_work_dir_goes_on_by_itself(self, tmp_path):
        assert train(tmp_path / 'a', iters=2) == 0
        shutil.copytree(tmp_path / 'a', tmp_path / 'b')
        assert train(tmp_path / 'b', '--resume', iters=4) == 0
        assert 'Load checkpoint from' in log_of(tmp_path / 'b')
        loaded = re.findall(
            r'Load checkpoint from (\S+)', log_of(tmp_path / 'b')
        )
        assert set(loaded) == {str(tmp_path / 'b/iter_2.pth')}

    def test_a_run_that_is_over_says_so(self, tmp_path, capsys):
        assert train(tmp_path, iters=2) == 0
        assert train(tmp_path, '--resume', iters=2) == 0
        assert (
            'Nothing to do: the run is at iteration 2 of 2 already; '
            '--cfg-options train_cfg.max_iters=N has it go on'
        ) in capsys.readouterr().err

    def test_auto_keeps_the_weights_to_start_from(self, tmp_path):
        """A scheduler's script always resumes, the first time too."""
        assert train(tmp_path / 'a', iters=2) == 0
        options = [*TINY_DCGAN, f'load_from={tmp_path}/a/iter_2.pth']
        args = ('--resume',)
        assert train(tmp_path / 'b', *args, iters=1, options=options) == 0
        log = log_of(tmp_path / 'b')
        assert 'starts from the beginning, with the weights of' in log
        assert f'Load checkpoint from {tmp_path}/a/iter_2.pth' in log

    def test_other_settings_are_told_with_which_of_them_hold(self, tmp_path):
        assert train(tmp_path, '--amp', iters=2) == 0
        assert 'other settings' not in log_of(tmp_path)
        options = [
            *TINY_DCGAN,
            'train_dataloader.batch_size=8',
            'optim_wrapper.generator.optimizer.lr=0.1',
            'optim_wrapper.generator.optimizer.weight_decay=0.1',
            'optim_wrapper.discriminator.optimizer.type=AdamW',
            'optim_wrapper.discriminator.accumulative_counts=2',
        ]
        resume = ('--amp', '--resume')
        assert train(tmp_path, *resume, iters=4, options=options) == 0
        log = log_of(tmp_path)
        path = tmp_path / 'iter_2.pth'
        for line in (
            f'{path} was trained with other settings than the config has:',
            'optim_wrapper.generator.optimizer.lr: stays 0.001, as in the '
            'checkpoint; the config has 0.1',
            'optim_wrapper.generator.optimizer.weight_decay: stays none, as '
            'in the checkpoint; the config has 0.1',
            "optim_wrapper.discriminator.optimizer.type: is 'AdamW' now, as "
            "in the config; the checkpoint has 'Adam'",
            'optim_wrapper.discriminator.accumulative_counts: is 2 now, as '
            'in the config; the checkpoint has none',
            'train_dataloader.batch_size: is 8 now, as in the config; the '
            'checkpoint has 4',
            'train_cfg.max_iters: is 4 now, as in the config; the checkpoint '
            'has 2',
            f'leave out --resume and give --cfg-options load_from={path}',
            'To go on as before, give --cfg-options '
            "optim_wrapper.discriminator.optimizer.type='Adam' "
            'train_dataloader.batch_size=4\n',
        ):
            assert line in log
        # It is as it says.
        states = torch.load(tmp_path / 'iter_4.pth', weights_only=True)
        (group,) = states['optimizer']['generator']['param_groups']
        assert (group['lr'], group['weight_decay']) == (0.001, 0)

    def test_other_schedules_are_refused_or_told(self, tmp_path, capsys):
        config = tmp_path / 'c.py'
        work_dir = tmp_path / 'run'

        def resumed(schedule, *args, iters):
            config.write_text(
                f'_base_ = {DCGAN!r}\nparam_scheduler = {schedule}\n'
            )
            capsys.readouterr()
            code = train(work_dir, *args, iters=iters, config=str(config))
            return code, capsys.readouterr().err

        steps = "[dict(type='MultiStepLR', by_epoch=False, milestones=[%d])]"
        assert resumed(steps % 1, iters=2)[0] == 0
        assert resumed(steps % 3, '--resume', iters=4)[0] == 0
        assert (
            'param_scheduler.0.milestones: stays [1], as in the checkpoint; '
            'the config has [3]'
        ) in log_of(work_dir)
        (group,) = torch.load(work_dir / 'iter_4.pth', weights_only=True)[
            'optimizer'
        ]['generator']['param_groups']
        assert group['lr'] == pytest.approx(1e-4)
        linear = "[dict(type='LinearLR', by_epoch=False, end=9)]"
        for other in (linear, f'dict(generator={linear})'):
            code, err = resumed(other, '--resume', iters=5)
            assert code == 2
            assert 'iter_4.pth is of another param_scheduler' in err

    def test_auto_without_a_checkpoint_starts_anew_and_says_so(self, tmp_path):
        assert train(tmp_path, '--resume', 'auto', iters=1) == 0
        assert 'starts from the beginning' in log_of(tmp_path)


class TestMistakes:
    def test_missing_config(self, tmp_path, capsys):
        missing = ROOT / 'configs/dcgan/dcgan_digit-32x32.py'
        line = refused([missing], capsys)
        assert 'does not exist' in line
        assert 'did you mean' in line
        assert 'dcgan_digits-32x32.py' in line
        assert 'nowhere' in refused(['nowhere/at/all.py'], capsys)

    def test_a_folder(self, capsys):
        assert 'is a folder' in refused([ROOT / 'configs'], capsys)

    def test_broken_config(self, tmp_path, capsys):
        config = tmp_path / 'broken.py'
        config.write_text('model = dict(\n')
        assert 'broken.py' in refused([config], capsys)
        config.write_text("_base_ = 'gone.py'\n")
        assert 'gone.py' in refused([config], capsys)

    def test_an_empty_config_and_one_that_lacks_most(self, tmp_path, capsys):
        config = tmp_path / 'c.py'
        config.touch()
        assert 'holds no settings' in refused([config], capsys)
        config.write_text("model = dict(type='ImageGAN')\n")
        args = [config, '--work-dir', tmp_path / 'run']
        assert 'has no train_dataloader, no train_' in refused(args, capsys)
        assert not (tmp_path / 'run').exists()

    def test_a_custom_import_that_fails(self, tmp_path, capsys, monkeypatch):
        monkeypatch.syspath_prepend(str(tmp_path))
        module = tmp_path / 'module_that_fails.py'
        module.write_text('\nimport there_is_none\n')
        config = tmp_path / 'c.py'
        config.write_text(
            "custom_imports = dict(imports=['module_that_fails'])\n"
        )
        line = refused([config], capsys)
        assert "No module named 'there_is_none'" in line
        assert f'({module}, line 2)' in line

    def test_a_lazy_import_that_fails(self, tmp_path, capsys):
        config = tmp_path / 'c.py'
        config.write_text(
            'from mmengine.config import read_base\n'
            'with read_base():\n    from .base import *\n'
            'from mmamp import NoHook\n'
            'custom_hooks = [dict(type=NoHook)]\n'
        )
        (tmp_path / 'base.py').write_text(
            'from mmengine.optim import OptimWrapper\n'
            'model = train_cfg = train_dataloader = dict(a=1)\n'
            'optim_wrapper = dict(type=OptimWrapper, optimizer=dict('
            "type='SGD', lr=0.1))\n"
        )
        line = refused([config, '--amp', '--work-dir', tmp_path], capsys)
        assert 'Failed to import NoHook from mmamp' in line
        assert 'c.py, line 4' in line

    @pytest.mark.parametrize(
        ('args', 'match'),
        [
            (['--ampp'], '--ampp'),
            (['--amp', '--amp-dtype', 'half'], "'half'"),
            (['--amp', '--loss-scale', 'much'], "'much'"),
            (['--amp', '--loss-scale', '-1'], "'-1'"),
            (['--amp-dtype', 'float16'], 'without --amp'),
            (['--loss-scale', '2'], 'without --amp'),
            (['--cfg-options', 'train_cfg'], "'train_cfg' as KEY=VALUE"),
            (['--resume', 'configs'], "there is no checkpoint in 'configs'"),
            (['--work-dir', '/proc/x'], "work dir '/proc/x' cannot be made"),
            (['--resume', 'README.md'], 'was not written by torch.save'),
            # What only building the run finds out.
            (['--cfg-options', 'train_cfg.max_iter=3'], "argument 'max_iter'"),
            (['--cfg-options', 'train_cfg.max_iters=ten'], "'ten'"),
            (['--cfg-options', 'model.generator.chan=3'], "argument 'chan'"),
            (
                ['--cfg-options', 'default_hooks.checkpont.interval=0'],
                '; the config has this as default_hooks.checkpont (more in',
            ),
            (['--cfg-options', 'train_cfg.max_iters=-1'], 'but is -1'),
            (
                ['--cfg-options', 'train_dataloader.batch_size=0'],
                'error: train_dataloader.batch_size must be an int >= 1, but',
            ),
            (
                ['--cfg-options', 'optim_wrapper.generator.optimizer.lr=nan'],
                'error: optim_wrapper.generator.optimizer.lr must be a number',
            ),
            (
                ['--cfg-options', 'runner_type=Runer'],
                "runner_type: there is no 'Runer'; there are ",
            ),
            (
                ['--cfg-options', 'train_dataloader.sampler.type=Samler'],
                '; the config names it in train_dataloader.sampler.type (more',
            ),
            (['--cfg-options', 'randomness.seed=abc'], 'randomness.seed'),
            (
                ['--cfg-options', 'param_scheduler.gen.type=LinearLR'],
                "a schedule of 'gen', but the optimizers are 'gene",
            ),
            (
                [
                    '--cfg-options',
                    'optim_wrapper.generator.optimizer.type=Adamm',
                ],
                "optim_wrapper['generator']",
            ),
            (['--cfg-options', 'log_level.x=1'], '--cfg-options'),
            (['--auto-scale-lr'], 'base_batch_size'),
            (['--resume', 'gone.pth'], "'gone.pth' does not exist"),
            (['--launcher', 'ssh'], "'ssh'"),
            (
                [
                    *('--resume', '--cfg-options'),
                    'strategy.type=DeepSpeedStrategy',
                ],
                'DeepSpeed saves folders of pickles',
            ),
            (['--launcher', 'pytorch'], 'bash tools/dist_train.sh'),
            (['--launcher', 'slurm'], 'bash tools/slurm_train.sh'),
        ],
    )
    def test_bad_option(self, tmp_path, capsys, args, match):
        work_dir = ['--work-dir', tmp_path]
        assert match in refused([DCGAN, *work_dir, *args], capsys)

    def test_unreadable_checkpoint(self, tmp_path, capsys):
        path = tmp_path / 'x.pth'
        path.write_bytes(b'not a checkpoint')
        line = refused([DCGAN, '--resume', path], capsys)
        assert 'x.pth' in line
        torch.save(dict(state_dict={}), path)
        assert 'message_hub' in refused([DCGAN, '--resume', path], capsys)

    def test_a_mistake_in_a_hook_and_where_it_was_found(
        self, tmp_path, capsys
    ):
        config = tmp_path / 'c.py'
        config.write_text(
            f'_base_ = {DCGAN!r}\n'
            "custom_hooks = [dict(type='PrecisionHook', rules=[dict("
            "pattern='discriminator.nothing')])]\n"
        )
        args = [config, '--work-dir', tmp_path, '--cfg-options']
        line = refused([*args, *TINY_DCGAN, 'experiment_name=x'], capsys)
        assert 'matches no module' in line
        (log,) = re.findall(r'\(more in (.*)\)$', line)
        assert 'Traceback' in Path(log).read_text()

    def test_missing_data_and_the_key_that_names_it(self, tmp_path, capsys):
        config = tmp_path / 'c.py'
        config.write_text(
            f'_base_ = {DCGAN!r}\n'
            'train_dataloader = dict(dataset=dict(_delete_=True, '
            "type='ImageFolderDataset', data_root='data/no'))\n"
        )
        args = [config, '--work-dir', tmp_path, '--cfg-options']
        line = refused([*args, *TINY_DCGAN, 'experiment_name=x'], capsys)
        assert "'data/no' does not exist" in line
        key = 'train_dataloader.dataset.data_root'
        assert f'; the config names it in {key} (more' in line

    def test_a_checkpoint_of_another_model(self, tmp_path, capsys):
        assert train(tmp_path, iters=2) == 0
        options = [x for x in TINY_DCGAN if 'generator' not in x]
        args = [DCGAN, '--work-dir', tmp_path / 'other', '--resume']
        args += [tmp_path / 'iter_2.pth', '--cfg-options', *options]
        args += [f'experiment_name=run{next(NUMBERS)}']
        args += ['model.generator.image_size=16']
        args += ['model.discriminator.image_size=16']
        line = refused(args, capsys)
        assert 'iter_2.pth is of another model: ' in line

    def test_work_dir_is_a_file(self, tmp_path, capsys):
        file = tmp_path / 'f'
        file.touch()
        assert 'is a file' in refused([DCGAN, '--work-dir', file], capsys)

    def test_a_work_dir_that_another_run_has(self, tmp_path, capsys):
        hold = (
            'import sys\n'
            'from argparse import Namespace\n'
            'from mmengine.config import Config\n'
            'from mmamp.launcher.lock import WorkDirLock\n'
            'with WorkDirLock() as lock:\n'
            "    cfg = dict(work_dir=sys.argv[1], launcher='none')\n"
            '    lock.take(Config(cfg), Namespace(resume=None))\n'
            '    print(flush=True)\n'
            '    sys.stdin.read()\n'
        )
        with subprocess.Popen(
            [sys.executable, '-c', hold, tmp_path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as process:
            assert process.stdout.readline()
            line = refused([DCGAN, '--work-dir', tmp_path], capsys)
            process.stdin.close()
        assert f'is in use by process {process.pid} on ' in line
        assert [x.name for x in tmp_path.iterdir()] == ['.run.lock']

    def test_amp_on_a_config_without_an_optimizer(self, tmp_path, capsys):
        config = tmp_path / 'test_only.py'
        config.write_text("model = dict(type='ImageGAN')\n")
        assert 'optim_wrapper' in refused([config, '--amp'], capsys)

    def test_typo_in_a_key_is_a_warning(self, mm_log):
        read_config(
            build_parser().parse_args(
                [DCGAN, '--cfg-options', 'train_cgf.max_iters=3']
            ),
            TRAIN,
        )
        log = mm_log()
        assert "'train_cgf'" in log
        assert 'did you mean train_cfg?' in log


HOLD = """
import fcntl, sys
file = open(sys.argv[1], 'a')
fcntl.lockf(file, fcntl.LOCK_EX)
print(flush=True)
sys.stdin.read()
"""


def test_a_resumed_run_goes_on_from_what_it_has_waited_for(tmp_path):
    """The run before it saves, and removes what it had saved before."""
    work_dir = tmp_path / 'run'
    assert train(work_dir, iters=4) == 0
    name = work_dir / 'last_checkpoint'
    earlier, latest = work_dir / 'iter_2.pth', work_dir / 'iter_4.pth'
    latest.rename(tmp_path / 'not_yet.pth')
    name.write_text(str(earlier))
    before = subprocess.Popen(
        [sys.executable, '-c', HOLD, str(work_dir / '.run.lock')],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    before.stdout.readline()

    def save_and_end():
        (tmp_path / 'not_yet.pth').rename(latest)
        name.write_text(str(latest))
        earlier.unlink()
        before.communicate()

    threading.Timer(2, save_and_end).start()
    assert train(work_dir, '--resume', iters=6) == 0
    assert 'waiting for it' in log_of(work_dir)
    assert [line['step'] for line in scalars_of(work_dir)] == [5, 6]


def test_auto_scale_lr(tmp_path):
    config = tmp_path / 'c.py'
    config.write_text(
        f'_base_ = {DCGAN!r}\nauto_scale_lr = dict(base_batch_size=64)\n'
    )
    args = build_parser().parse_args([str(config), '--auto-scale-lr'])
    assert read_config(args, TRAIN).auto_scale_lr == dict(
        base_batch_size=64, enable=True
    )


def test_ctrl_c_says_how_to_resume(tmp_path, python):
    """A real process, a real SIGINT; then the command that it prints."""
    command = [
        python,
        str(ROOT / 'tools/train.py'),
        DCGAN,
        '--amp',
        '--work-dir',
        str(tmp_path),
        '--cfg-options',
        *TINY_DCGAN,
        'train_cfg.max_iters=100000',
    ]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
    )
    deadline = time.time() + 120
    while not (tmp_path / 'last_checkpoint').is_file():
        assert process.poll() is None, process.stderr.read()
        assert time.time() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert 'Traceback' not in err
    last = err.strip().splitlines()[-1]
    match = re.match(r'Interrupted\. Go on from (\S+) with: (.*)', last)
    assert match, err
    assert Path(match[1]).is_file()
    assert match[2].endswith('--resume')


def test_ctrl_c_before_training_began():
    """Python takes seconds to import torch."""
    process = subprocess.Popen(
        [sys.executable, '-v', str(ROOT / 'tools/train.py'), DCGAN],
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
    )
    # `-v` tells what is imported.
    while "import 'mmengine" not in (line := process.stderr.readline()):
        assert line
    process.send_signal(signal.SIGINT)
    err = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert 'Traceback' not in err
    assert 'Interrupted before training began.' in err


def test_a_step_of_an_optimizer_that_fails(tmp_path, capsys):
    config = tmp_path / 'c.py'
    config.write_text(
        f'_base_ = {DCGAN!r}\n'
        'optim_wrapper = dict(generator=dict(optimizer=dict('
        "_delete_=True, type='SparseAdam', lr=0.1)))\n"
    )
    assert train(tmp_path, '--amp', config=str(config)) == 2
    err = capsys.readouterr().err
    assert 'Traceback' not in err
    (line,) = [x for x in err.splitlines() if ': error: ' in x]
    assert "'generator': the step of SparseAdam (torch) has failed: " in line
    assert 'does not support dense gradients' in line
    assert 'Traceback' in log_of(tmp_path)


def test_a_run_that_cannot_go_on_ends_with_exit_code_3(tmp_path, capsys):
    config = tmp_path / 'c.py'
    config.write_text(
        f'_base_ = {DCGAN!r}\n'
        # Real images become infinite: nothing is finite any more.
        'model = dict(data_preprocessor=dict(std=1e-39))\n'
        "custom_hooks = [dict(type='OverflowHook', patience=2)]\n"
    )
    code = train(tmp_path, '--amp', iters=20, config=str(config))
    assert code == 3
    err = capsys.readouterr().err
    assert 'Traceback' not in err
    (line,) = [x for x in log_of(tmp_path).splitlines() if 'ERROR' in x]
    assert 'not finite' in line
    assert 'last_finite_iter_' in line


@pytest.mark.parametrize(
    'async_save', [False, True], ids=['at once', 'beside training']
)
def test_a_disk_that_fills_up(tmp_path, small_disk, capsys, async_save):
    """One line says what to do, and from where it goes on then."""
    (small_disk / 'data').write_bytes(bytes(3 * 2**20))
    options = [
        *TINY_DCGAN,
        'default_hooks.checkpoint.interval=1',
        f'default_hooks.checkpoint.out_dir={small_disk}',
        f'default_hooks.checkpoint.async_save={async_save}',
    ]
    work_dir = tmp_path / 'work'
    assert train(work_dir, options=options, iters=100) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert 'No space left on device' in line
    assert 'make room' in line
    found = sorted((small_disk / 'work').iterdir(), key=os.path.getmtime)
    assert found
    assert f'Go on from {found[-1]} with: ' in line
    assert str(found[-1]) == (work_dir / 'last_checkpoint').read_text()
    assert 'StorageError' in log_of(work_dir)
    (small_disk / 'data').unlink()
    iters = int(found[-1].stem.partition('_')[2]) + 2
    assert train(work_dir, '--resume', options=options, iters=iters) == 0


def test_a_disk_that_is_full_from_the_start(tmp_path, small_disk, capsys):
    (small_disk / 'data').write_bytes(bytes(2**22 - 2**15))
    line = refused([DCGAN, '--work-dir', small_disk / 'work'], capsys)
    assert 'cannot be written to: No space left on device' in line


@HOOKS.register_module(force=True)
class FillsDisk(Hook):
    """Takes all the room there is."""

    def __init__(self, folder):
        self.file = Path(folder) / 'fill'

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == 3:
            with open(self.file, 'ab', buffering=0) as file:
                for size in (2**16, 1):
                    with suppress(OSError):
                        while True:
                            file.write(bytes(size))


def test_a_disk_that_fills_up_between_checkpoints(
    tmp_path, small_disk, capsys
):
    config = tmp_path / 'c.py'
    config.write_text(
        f'_base_ = {DCGAN!r}\n'
        "custom_hooks = [dict(type='FillsDisk', "
        f'folder={str(small_disk)!r})]\n'
    )
    work_dir = small_disk / 'work'
    assert train(work_dir, config=str(config), iters=100) == 2
    err = capsys.readouterr().err
    assert 'Traceback' not in err
    line = err.splitlines()[-1]
    assert f"StorageError: '{work_dir}" in line
    assert 'could not be written: No space left on device (0.0 MiB' in line
    assert f'Go on from {work_dir / "iter_2.pth"} with: ' in line
    (small_disk / 'fill').unlink()
    for handler in MMLogger.get_current_instance().handlers:
        handler.close()


def test_save_best_of_a_metric_that_there_is_not(tmp_path, capsys):
    options = [
        'train_dataloader.batch_size=4',
        'default_hooks.checkpoint.interval=2',
        'train_cfg.max_iters=2',
        'train_cfg.val_interval=2',
        'val_dataloader.dataset.indices=20',
        'default_hooks.checkpoint.save_best=FDI',
        'default_hooks.sanity_check.num_val_batches=0',
    ]
    work_dir = ['--work-dir', str(tmp_path)]
    assert main([DCGAN, *work_dir, '--cfg-options', *options]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "save_best='FDI' is none of the metrics, which are 'FID'" in error
    assert (tmp_path / 'iter_2.pth').is_file()
