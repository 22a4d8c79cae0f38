import copy

import pytest
import torch
from torch import nn

from mmamp.engine.hooks import EvalPrecisionHook

VAL = {
    'val_dataloader': dict(
        batch_size=4,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        collate_fn=dict(type='default_collate'),
        dataset=dict(
            type='DigitsDataset',
            indices=8,
            pipeline=[
                dict(type='Resize', scale=(8, 8)),
                dict(type='PackImage'),
            ],
        ),
    ),
    'val_cfg': dict(),
    'val_evaluator': dict(type='Falling'),
}
TEST = {f'test{key[3:]}': value for key, value in VAL.items()}


class Dtypes:
    """What the generator's layers compute in, by the loop that runs."""

    def __init__(self, runner):
        self.seen = {True: set(), False: set()}
        for module in runner.model.generator.modules():
            if isinstance(module, nn.ConvTranspose2d):
                module.register_forward_hook(self.look)

    def look(self, module, args, output):
        self.seen[module.training].add(output.dtype)


def run(build_runner, options=None, dtype=None, mode='train'):
    hook = dict(type='EvalPrecisionHook', dtype=dtype)
    runner = build_runner(
        'gan',
        {
            **copy.deepcopy(VAL | TEST),
            'train_cfg.max_iters': 2,
            'train_cfg.val_interval': 1,
            'custom_hooks': [hook],
            **(options or {}),
        },
    )
    dtypes = Dtypes(runner)
    getattr(runner, mode)()
    return dtypes.seen


@pytest.mark.parametrize('mode', ['train', 'test'])
@pytest.mark.parametrize(
    ('dtype', 'expected'),
    [
        ('bfloat16', torch.bfloat16),
        ('float16', torch.float16),
        (None, torch.float16),  # that of training
        ('float32', torch.float32),
    ],
)
def test_evaluation_is_in_the_dtype(build_runner, mode, dtype, expected):
    seen = run(build_runner, dtype=dtype, mode=mode)
    assert seen[False] == {expected}
    if mode == 'train':
        assert seen[True] == {torch.float16}


@pytest.mark.parametrize('fp16', [True, False])
def test_what_the_user_set_is_left_alone(build_runner, fp16):
    seen = run(build_runner, {'val_cfg.fp16': fp16}, 'float16')
    assert seen[False] == {torch.bfloat16 if fp16 else torch.float32}


def test_it_is_said_once(build_runner, capsys):
    run(build_runner, {'log_level': 'INFO'}, 'bfloat16')
    assert capsys.readouterr().out.count('Validation runs in: bfloat16') == 1


@pytest.mark.parametrize(
    ('generator', 'expected'),
    [
        (dict(dtype='bfloat16'), torch.bfloat16),
        (dict(dtype=None), torch.bfloat16),
        (dict(dtype='float32'), torch.float32),
    ],
)
def test_it_is_the_generators(build_runner, generator, expected):
    options = {
        f'optim_wrapper.generator.{key}': value
        for key, value in generator.items()
    }
    assert run(build_runner, options)[False] == {expected}


def test_nothing_is_left_behind(build_runner):
    runner = build_runner(
        'gan',
        {
            **copy.deepcopy(VAL),
            'train_cfg.max_iters': 1,
            'train_cfg.val_interval': 1,
            'custom_hooks': [dict(type='EvalPrecisionHook')],
        },
    )
    runner.train()
    assert not torch.is_autocast_enabled('cpu')
    images = runner.model.generator(torch.randn(2, 4))
    assert images.dtype is torch.float32


def test_a_dtype_that_there_is_not(build_runner):
    with pytest.raises(ValueError, match='float8'):
        run(build_runner, dtype='float8')


def test_an_error_leaves_autocast(build_runner):
    runner = build_runner('gan', copy.deepcopy(VAL))
    hook = EvalPrecisionHook()
    hook.before_val(runner)
    with pytest.raises(ValueError, match='mode'):
        runner.model(torch.zeros(1, 1, 8, 8), mode='loss')
    assert not torch.is_autocast_enabled('cpu')
    hook.after_val(runner)
