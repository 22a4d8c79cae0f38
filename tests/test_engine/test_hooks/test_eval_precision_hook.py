import copy

import pytest
import torch
from mmengine.evaluator import BaseMetric
from torch import nn

from mmamp.engine.hooks import EvalPrecisionHook
from mmamp.registry import METRICS, MODELS

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


@METRICS.register_module(force=True)
class Numbers(BaseMetric):
    """As most metrics of toolboxes do."""

    def process(self, data_batch, data_samples):
        for sample in data_samples:
            scores = sample['scores']
            assert scores.dtype is torch.float32
            self.results.append(float(scores.cpu().numpy().sum()))

    def compute_metrics(self, results):
        return dict(total=sum(results))


@MODELS.register_module(force=True)
class Predicts(MODELS.get('TinyClassifier')):
    """Somebody's model, which returns what it has computed."""

    def val_step(self, data):
        batch = self.data_preprocessor(data, False)
        logits = self(batch['inputs'].float())
        self.inside = logits.dtype
        return [dict(scores=x) for x in logits]

    test_step = val_step


def predicts(build_runner, **options):
    evaluation = copy.deepcopy(VAL | TEST)
    for mode in ('val', 'test'):
        evaluation[f'{mode}_evaluator'] = dict(type='Numbers')
    return build_runner(
        'classifier',
        {
            **evaluation,
            'model.type': 'Predicts',
            'train_dataloader.dataset.pipeline': VAL['val_dataloader'][
                'dataset'
            ]['pipeline'],
            'train_cfg.max_iters': 2,
            'train_cfg.val_interval': 1,
            'custom_hooks': [dict(type='EvalPrecisionHook')],
            **options,
        },
    )


@pytest.mark.parametrize('dtype', ['bfloat16', 'float16'])
@pytest.mark.parametrize('mode', ['train', 'test'])
def test_predictions_are_in_float32(build_runner, dtype, mode):
    runner = predicts(build_runner, **{'optim_wrapper.dtype': dtype})
    before = runner.model.val_step
    getattr(runner, mode)()
    assert runner.model.inside is getattr(torch, dtype)
    # Nothing is left behind.
    assert runner.model.val_step == before
    assert not {'val_step', 'test_step'} & set(vars(runner.model))


class Scores:
    """Whose copies are itself."""

    def __init__(self, scores):
        self.scores = scores

    def __copy__(self):
        return self

    def __getitem__(self, name):
        return self.scores.float()


def test_objects_that_stay_low_are_warned_about(
    build_runner, capsys, monkeypatch
):
    runner = predicts(build_runner, log_level='WARNING')
    step = runner.model.val_step
    monkeypatch.setattr(
        type(runner.model),
        'val_step',
        lambda self, data: [Scores(x['scores']) for x in step(data)],
    )
    runner.train()
    assert capsys.readouterr().out.count('of class Scores cannot be') == 1


@pytest.mark.parametrize('mode', ['train', 'test'])
def test_a_model_that_cannot_do_with_it_is_evaluated_in_float32(
    build_runner, capsys, monkeypatch, mode
):
    """As heads whose operators have no kernel for it."""
    cls = MODELS.get('Predicts')
    seen = []

    def val_step(self, data):
        logits = self(self.data_preprocessor(data, False)['inputs'].float())
        seen.append(logits.dtype)
        logits.numpy()
        return [dict(scores=x) for x in logits]

    monkeypatch.setattr(cls, 'val_step', torch.no_grad()(val_step))
    monkeypatch.setattr(cls, 'test_step', cls.val_step)
    runner = predicts(
        build_runner,
        log_level='WARNING',
        **{'optim_wrapper.dtype': 'bfloat16'},
    )
    getattr(runner, mode)()
    batches = 4 if mode == 'train' else 2
    assert seen == [torch.bfloat16, *[torch.float32] * batches]
    said = capsys.readouterr().out
    assert said.count('Evaluation goes on in float32, as a whole') == 1
    assert "Predicts '(the model)' cannot compute in bfloat16" in said


@pytest.mark.parametrize(
    'options',
    [
        {'val_cfg.fp16': True},
        {
            'custom_hooks': [
                dict(type='EvalPrecisionHook'),
                dict(
                    type='PrecisionHook',
                    rules=[dict(pattern='network', dtype='bfloat16')],
                ),
            ]
        },
    ],
    ids=['fp16', 'rule'],
)
def test_whatever_made_them_low(build_runner, options):
    options['optim_wrapper.dtype'] = 'float32'
    runner = predicts(build_runner, **options)
    runner.train()
    assert runner.model.inside is torch.bfloat16


def test_a_step_of_the_model_itself_comes_back(build_runner):
    """As MMEngine's `compile` puts one there."""
    runner = predicts(build_runner)
    model = runner.model
    given = model.test_step
    model.test_step = lambda data: given(data)
    own = model.test_step
    runner.test()
    assert model.test_step is own


def test_an_evaluation_that_was_broken_off(build_runner):
    runner = predicts(build_runner)
    (hook,) = (x for x in runner.hooks if isinstance(x, EvalPrecisionHook))
    hook.before_val(runner)
    hook.before_test(runner)
    assert 'val_step' not in vars(runner.model)
    hook.after_test(runner)
    assert 'test_step' not in vars(runner.model)
    assert not runner.model._forward_pre_hooks
