"""Validation with a batch before training, which training does not see."""

import itertools
import json
import os
from pathlib import Path

import pytest
import torch
from differences import differences
from has_fsdp2 import HAS_FSDP2, WHY
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.hooks import Hook
from mmengine.runner import FlexibleRunner, Runner, ValLoop

from mmamp.checkpoint.safe_load import read_checkpoint
from mmamp.datasets import DigitsDataset
from mmamp.errors import UsageError
from mmamp.registry import (
    DATA_SAMPLERS,
    DATASETS,
    EVALUATOR,
    HOOKS,
    LOOPS,
    METRICS,
)
from mmamp.train import main

ROOT = Path(__file__).parents[3]
DCGAN = str(ROOT / 'configs/dcgan/dcgan_digits-32x32.py')
NUMBERS = itertools.count()
KEY = 'default_hooks.sanity_check.num_val_batches'
SMALL = [
    'train_dataloader.batch_size=4',
    'model.generator.base_channels=2',
    'model.discriminator.base_channels=2',
    'model.ema_config.standing_batches=1',
    'val_dataloader.batch_size=16',
    'val_dataloader.dataset.indices=32',
    'randomness.seed=0',
    'default_hooks.logger.interval=1',
]
QUICK = "dict(type='SWD', num_patches=1, num_repeats=1)"


def train(work_dir, *options, iters=2, more=(), metric=QUICK):
    """The small DCGAN; a metric is code, None is the config's."""
    config = DCGAN
    if metric is not None:
        config = f'{work_dir}_config.py'
        Path(config).write_text(
            f'_base_ = [{DCGAN!r}]\nval_evaluator = [{metric}]\n'
            'test_evaluator = val_evaluator\n'
            "default_hooks = dict(checkpoint=dict(save_best='SWD/avg'))\n"
        )
    return main(
        [
            *(config, '--work-dir', str(work_dir), *more, '--cfg-options'),
            *(*SMALL, f'train_cfg.max_iters={iters}', *options),
            f'train_cfg.val_interval={iters}',
            f'default_hooks.checkpoint.interval={iters}',
            f'experiment_name=sanity{next(NUMBERS)}',
        ]
    )


def refused(capsys, work_dir, *options, **kwargs):
    """What is said before anything was trained."""
    assert train(work_dir, *options, **kwargs) == 2
    done = capsys.readouterr()
    assert 'Iter(train)' not in done.out
    assert not list(Path(work_dir).glob('*.pth'))
    (line,) = [x for x in done.err.splitlines() if 'error:' in x]
    return line


def scalars(work_dir):
    """Those of all its starts; two within a second share a file."""
    files = sorted(Path(work_dir).glob('2*/vis_data/scalars.json'))
    found = [json.loads(x) for f in files for x in f.read_text().splitlines()]
    times = ('time', 'data_time', 'memory', 'eta')
    return [{k: v for k, v in x.items() if k not in times} for x in found]


def checkpoint(work_dir, iters):
    found = read_checkpoint(str(Path(work_dir) / f'iter_{iters}.pth'))
    hub = found['message_hub']
    for key in [x for x in hub['log_scalars'] if 'time' in x]:
        del hub['log_scalars'][key]
    # The config and the time of the run.
    del found['meta'], hub['runtime_info']
    return found


class TestTrainingDoesNotSeeIt:
    def test_bit_for_bit_and_after_resume(self, tmp_path):
        for name, number in (('with', 3), ('without', 0)):
            option = f'{KEY}={number}'
            assert train(tmp_path / name, option) == 0
            assert (
                train(tmp_path / name, option, iters=4, more=['--resume']) == 0
            )
        one, other = tmp_path / 'with', tmp_path / 'without'
        for iters in (2, 4):
            assert not differences(
                checkpoint(one, iters), checkpoint(other, iters)
            )
        assert scalars(one) == scalars(other)
        best = [sorted(x.name for x in p.glob('best*')) for p in (one, other)]
        assert best[0] == best[1]

    def test_nothing_is_scored_logged_or_saved(self, tmp_path, build_runner):
        runner = gan_runner(build_runner)
        runner.train()
        keys = runner.message_hub.log_scalars
        assert not [key for key in keys if key.startswith('val/')]

    def test_model_and_generators_are_as_they_were(self, build_runner):
        seen = []

        @HOOKS.register_module(force=True)
        class Look(Hook):
            priority = 'HIGHEST'

            def before_train(self, runner):
                seen.append(state(runner))

            def before_train_iter(self, runner, **kwargs):
                seen.append(state(runner))

        def state(runner):
            model = runner.model.state_dict().items()
            return dict(
                model={k: v.clone() for k, v in model},
                torch=torch.get_rng_state(),
                modes=[x.training for x in runner.model.modules()],
            )

        options = {'custom_hooks': [dict(type='Look')]}
        runner = gan_runner(build_runner, options)
        runner.train()
        assert not differences(*seen[:2])
        assert seen[0]['model']


def gan_runner(build_runner, options=None, **check):
    loader = dict(
        batch_size=4,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        collate_fn=dict(type='default_collate'),
        dataset=dict(
            type='DigitsDataset',
            indices=8,
            pipeline=[dict(type='PackImage')],
        ),
    )

    def edit(cfg):
        cfg.train_cfg.update(max_iters=1, val_begin=2)
        cfg.val_dataloader, cfg.val_cfg = loader, dict()
        cfg.val_evaluator = dict(type='Counting')
        cfg.default_hooks.sanity_check = dict(type='SanityCheckHook', **check)
        cfg.model.ema_config = dict(momentum=0.5)
        cfg.merge_from_dict(options or {})

    return build_runner('gan', edit=edit)


WRONG = dict(
    value=ValueError,
    type=TypeError,
    unbound=UnboundLocalError,
    exit=SystemExit,
    name=NameError,
)


@METRICS.register_module(force=True)
class Counting(BaseMetric):
    """How many samples it was given."""

    def __init__(self, min_samples=1, wrong=None, where='compute'):
        super().__init__()
        self.min_samples, self.seen = min_samples, []
        self.wrong, self.where = wrong, where

    def process(self, data_batch, data_samples):
        self.results += [0] * len(data_samples)
        if self.wrong and self.where == 'process':
            raise RuntimeError('not\nto be computed')

    def compute_metrics(self, results):
        self.seen.append(len(results))
        if self.wrong:
            raise WRONG[self.wrong]('not\nto be computed')
        print('a table of nonsense')
        return dict(count=len(results))


class TestHowMuch:
    @pytest.mark.parametrize(
        ('check', 'metric', 'seen'),
        [
            ({}, {}, [4]),
            (dict(num_val_batches=2), {}, [8]),
            (dict(num_val_batches=9), {}, [8]),
            ({}, dict(min_samples=5), [8]),
            (dict(num_val_batches=0), {}, []),
        ],
    )
    def test_batches(self, build_runner, capsys, check, metric, seen):
        options = {'val_evaluator': dict(type='Counting', **metric)}
        runner = gan_runner(build_runner, options, **check)
        runner.train()
        (counting,) = runner.val_loop.evaluator.metrics
        assert counting.seen == seen
        assert 'nonsense' not in capsys.readouterr().out

    def test_a_negative_number(self, build_runner):
        with pytest.raises(ValueError, match='num_val_batches must be an int'):
            gan_runner(build_runner, num_val_batches=-1)

    @pytest.mark.parametrize('value', [f'{KEY}=0', KEY[:-16] + '=None'])
    def test_left_out_and_so_by_the_config_that_is_saved(
        self, tmp_path, value, capsys
    ):
        assert train(tmp_path, value, iters=1) == 0
        (saved,) = tmp_path.glob('*.py')
        again = ['--work-dir', str(tmp_path / 'again')]
        name = f'experiment_name=sanity{next(NUMBERS)}'
        assert main([str(saved), *again, '--cfg-options', name]) == 0
        log = capsys.readouterr().out
        assert 'Sanity check' not in log
        # The key is one that everybody knows.
        assert "had no 'sanity_check'" not in log

    def test_nothing_where_the_run_is_over(self, tmp_path, capsys):
        assert train(tmp_path, iters=1) == 0
        assert 'Sanity check' in capsys.readouterr().out
        assert train(tmp_path, iters=1, more=['--resume']) == 0
        assert 'Sanity check' not in capsys.readouterr().out

    def test_other_loops_are_left_out_with_a_word(self, build_runner, capsys):
        @LOOPS.register_module(force=True)
        class OwnVal(ValLoop):
            def run(self):
                raise AssertionError

        options = {'val_cfg': dict(type='OwnVal'), 'log_level': 'INFO'}
        gan_runner(build_runner, options).train()
        assert (
            'OwnVal validates in a way of its own' in capsys.readouterr().out
        )

    def test_samplers_of_others_are_left_out_with_a_word(
        self, build_runner, capsys
    ):
        """Whose places may be of other things, such as frames of a video."""

        @DATA_SAMPLERS.register_module(force=True)
        class Frames:
            def __init__(self, dataset, seed):
                self.places = [(0, 0)]

            def __iter__(self):
                return iter(self.places)

            def __len__(self):
                return 1

        options = {
            'val_dataloader.sampler': dict(type='Frames', _delete_=True),
            'log_level': 'INFO',
        }
        runner = gan_runner(build_runner, options)
        runner.train()
        assert 'Frames validates in a way of its' in capsys.readouterr().out
        (counting,) = runner.val_loop.evaluator.metrics
        assert counting.seen == []

    def test_a_process_that_forks_workers_opens_no_data(self, build_runner):
        """Such as an LMDB, which none of them could use then."""

        @DATASETS.register_module(force=True)
        class Opens(DigitsDataset):
            opened_in = None

            def __getitem__(self, idx):
                self.opened_in = os.getpid()
                return super().__getitem__(idx)

        options = {
            'val_dataloader.num_workers': 1,
            'val_dataloader.dataset.type': 'Opens',
        }
        runner = gan_runner(build_runner, options)
        runner.train()
        (counting,) = runner.val_loop.evaluator.metrics
        assert counting.seen == [4]
        assert runner.val_dataloader.dataset.opened_in is None


class TestMistakes:
    @pytest.mark.parametrize(
        ('metric', 'name'),
        [
            (dict(wrong='value', where='process'), 'RuntimeError'),
            (dict(wrong='name'), 'NameError'),
        ],
    )
    def test_what_fails_is_told_with_the_way_out(
        self, build_runner, metric, name
    ):
        options = {'val_evaluator': dict(type='Counting', **metric)}
        with pytest.raises(UsageError) as error:
            gan_runner(build_runner, options).train()
        text = str(error.value)
        assert f'{name}: not to be computed' in text
        assert f'{KEY}=0' in text

    @pytest.mark.parametrize('wrong', ['value', 'type', 'unbound', 'exit'])
    def test_what_more_samples_may_mend_is_a_warning(
        self, build_runner, capfd, wrong
    ):
        """Of metrics whose needs nobody knows."""
        metric = dict(type='Counting', wrong=wrong)
        runner = gan_runner(build_runner, {'val_evaluator': metric})
        runner.train()
        log = ''.join(capfd.readouterr())
        assert 'Counting cannot be computed from the few samples' in log
        assert f'{WRONG[wrong].__name__}: not to be computed' in log

    def test_an_evaluator_that_needs_more_leaves_nothing_behind(
        self, build_runner, capfd
    ):
        @EVALUATOR.register_module(force=True)
        class Whole(Evaluator):
            def evaluate(self, size):
                raise AssertionError('not all samples are there')

        evaluator = dict(type='Whole', metrics=dict(type='Counting'))
        runner = gan_runner(build_runner, {'val_evaluator': evaluator})
        runner.train()
        assert 'Whole cannot be computed from' in ''.join(capfd.readouterr())
        (counting,) = runner.val_loop.evaluator.metrics
        assert counting.results == []

    def test_a_metric_of_another_kind(self, tmp_path, capsys):
        line = refused(capsys, tmp_path, metric="dict(type='PSNR')")
        assert "the batch must have `data_samples['gt_img']`" in line
        # Where it was found out.
        (log,) = tmp_path.glob('2*/*.log')
        assert str(log) in line
        assert 'Traceback' in log.read_text()

    def test_a_score_that_nobody_reports(self, tmp_path, capsys):
        best = 'default_hooks.checkpoint.save_best=FOD'
        line = refused(capsys, tmp_path, best)
        assert "save_best='FOD', but validation reports SWD/avg" in line

    def test_a_score_that_a_schedule_waits_for(self, build_runner, capfd):
        plateau = dict(type='ReduceOnPlateauLR', monitor='loss')
        options = {
            'param_scheduler': dict(generator=[plateau], discriminator=[])
        }
        gan_runner(build_runner, options).train()
        log = ''.join(capfd.readouterr())
        assert "ReduceOnPlateauLR: monitor='loss', but validation rep" in log

    def test_colour_for_grey_networks(self, tmp_path, capsys):
        """Before a metric says what it does not understand."""
        line = refused(
            capsys,
            tmp_path,
            'model.generator.out_channels=3',
            'model.discriminator.in_channels=3',
        )
        assert 'set model.generator.out_channels=1 (now 3)' in line
        assert 'model.discriminator.in_channels=1 (now 3)' in line


class TestClasses:
    CONFIG = str(ROOT / 'configs/sagan/sagan_digits-32x32.py')

    def train(self, work_dir, num):
        keys = ('', 'generator.', 'discriminator.')
        return main(
            [
                *(self.CONFIG, '--work-dir', str(work_dir), '--cfg-options'),
                *(f'model.{key}num_classes={num}' for key in keys),
                'train_cfg.max_iters=1',
                'val_dataloader=None',
                'val_cfg=None',
                'val_evaluator=None',
                'default_hooks.checkpoint.save_best=None',
                f'experiment_name=sanity{next(NUMBERS)}',
            ]
        )

    def test_too_few(self, tmp_path, capsys):
        assert self.train(tmp_path, 8) == 2
        err = capsys.readouterr().err
        assert 'model.num_classes=8, but the data have 10 classes (0, 1' in err
        assert 'set model.num_classes=10' in err

    def test_too_many(self, tmp_path, capsys):
        assert self.train(tmp_path, 12) == 0
        out = capsys.readouterr().out
        assert 'WARNING - model.num_classes=12, but the data have 10' in out


class TestFewImages:
    def test_scores_of_many_images_say_nothing_of_few(self, tmp_path, capsys):
        """FID, KID and IS of a batch of one, each with its own remarks."""
        options = 'val_dataloader.batch_size=1'
        assert train(tmp_path, options, iters=1, metric=None) == 0
        before, _, after = capsys.readouterr().out.partition('Sanity check')
        assert 'FID, KID, IS' in after.splitlines()[0]
        for remark in ('no full rank', 'images are fewer'):
            assert remark not in before
            assert after.count(remark) == 1


class TestHooks:
    def test_those_that_prepare_validation_take_part(self, build_runner):
        called = []

        @HOOKS.register_module(force=True)
        class Prepares(Hook):
            def before_val_epoch(self, runner):
                called.append('before')

            def after_val_epoch(self, runner, metrics=None):
                called.append(metrics)

        @HOOKS.register_module(force=True)
        class Reports(Hook):
            def after_val_iter(self, runner, **kwargs):
                called.append('iter')

            def after_val_epoch(self, runner, metrics=None):
                called.append('report')

        hooks = [dict(type='Prepares'), dict(type='Reports')]
        gan_runner(build_runner, {'custom_hooks': hooks}).train()
        assert called == ['before', dict(count=4)]

    def test_one_that_validates_itself_does_so_briefly(self, build_runner):
        """As MMPretrain's EMAHook does, of the weights without averages."""

        @HOOKS.register_module(force=True)
        class Again(Hook):
            def before_val_epoch(self, runner):
                pass

            def after_val_epoch(self, runner, metrics=None):
                loop = runner.val_loop
                for i, batch in enumerate(loop.dataloader):
                    loop.run_iter(i, batch)
                found = loop.evaluator.evaluate(len(loop.dataloader.dataset))
                runner.message_hub.update_scalar('val/own', found['count'])

        options = {'custom_hooks': [dict(type='Again')]}
        runner = gan_runner(build_runner, options)
        runner.train()
        (counting,) = runner.val_loop.evaluator.metrics
        assert counting.seen == [4, 4]
        assert 'val/own' not in runner.message_hub.log_scalars


def run_in_ranks(rank, world_size, work_dir, strategy, number):
    """How many samples the metric of the first rank had."""
    cfg = dict(
        default_scope='mmamp',
        work_dir=work_dir,
        launcher='pytorch',
        env_cfg=dict(dist_cfg=dict(backend='gloo')),
        experiment_name=f'{strategy}{number}',
        randomness=dict(seed=0),
        log_level='WARNING',
        model=dict(
            type='mmamp.ImageGAN',
            noise_size=4,
            ema_config=dict(momentum=0.5),
            generator=dict(
                type='DCGANGenerator',
                image_size=8,
                out_channels=1,
                base_channels=2,
                noise_size=4,
            ),
            discriminator=dict(
                type='DCGANDiscriminator',
                image_size=8,
                in_channels=1,
                base_channels=2,
            ),
        ),
        optim_wrapper=dict(
            constructor='OptimWrapperConstructor',
            **{
                name: dict(
                    type='AmpOptimWrapper',
                    dtype='float32',
                    optimizer=dict(type='Adam', lr=1e-3),
                )
                for name in ('generator', 'discriminator')
            },
        ),
        train_dataloader=loader(dict(type='InfiniteSampler')),
        train_cfg=dict(by_epoch=False, max_iters=2, val_interval=2),
        val_dataloader=loader(dict(type='DefaultSampler', shuffle=False)),
        val_cfg=dict(),
        val_evaluator=dict(type='Counting'),
        default_hooks=dict(
            checkpoint=dict(type='CheckpointHook', interval=2, by_epoch=False),
            sanity_check=dict(type='SanityCheckHook', num_val_batches=number),
        ),
        custom_hooks=[dict(type='StateHook')],
        log_processor=dict(by_epoch=False),
    )
    if strategy is None:
        cfg['model_wrapper_cfg'] = dict(
            type='mmamp.SeparateDistributedDataParallel'
        )
        runner = Runner.from_cfg(cfg)
    else:
        cfg['strategy'] = dict(type=f'mmamp.{strategy}')
        runner = FlexibleRunner.from_cfg(cfg)
    runner.train()
    (counting,) = runner.val_loop.evaluator.metrics
    return dict(seen=counting.seen)


def loader(sampler):
    return dict(
        batch_size=2,
        num_workers=0,
        sampler=sampler,
        collate_fn=dict(type='default_collate'),
        dataset=dict(
            type='DigitsDataset', indices=7, pipeline=[dict(type='PackImage')]
        ),
    )


@pytest.mark.parametrize('strategy', [None, 'FSDP2Strategy'])
def test_in_ranks(in_ranks, tmp_path, strategy):
    """All take part, and training is what it is without."""
    if strategy and not HAS_FSDP2:
        pytest.skip(WHY)
    folders = []
    for number in (1, 0):
        folder = tmp_path / f'{number}'
        folders.append(folder)
        first, _ = in_ranks(2, run_in_ranks, str(folder), strategy, number)
        assert first['seen'] == [4, 7][1 - number :]
    assert not differences(*(checkpoint(x, 2) for x in folders))
