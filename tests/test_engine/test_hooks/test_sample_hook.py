import glob
import os
from pathlib import Path

import mmcv
import pytest
import torch
from mmengine.model import BaseModel
from torch import nn

from mmamp.engine.hooks import SampleHook


def pictures(runner):
    paths = glob.glob(os.path.join(runner.log_dir, 'vis_data/vis_image/*'))
    return {os.path.basename(p): mmcv.imread(p) for p in sorted(paths)}


def test_a_grid_at_the_interval_and_at_the_end(build_runner):
    hook = dict(type='SampleHook', interval=3, num_samples=6, columns=4)
    runner = build_runner('gan', dict(custom_hooks=[hook]))
    runner.train()
    found = pictures(runner)
    assert list(found) == ['samples_3.png', 'samples_4.png']
    # Two grids: two rows of four images of 8x8, with 2 pixels around each.
    # 'generator' is wider than its grid.
    height, width, _ = found['samples_3.png'].shape
    assert height == 22 + 16
    assert 2 * 42 + 8 < width < 2 * 42 + 40
    assert found['samples_3.png'].std() > 0


def test_what_a_gan_shows(build_runner):
    hook = dict(type='SampleHook', interval=9, num_samples=3)
    seen = []
    runner = build_runner(
        'gan',
        {'custom_hooks': [hook], 'model.ema_config': dict(momentum=0.5)},
    )
    panels = runner.model.panels

    def look(data):
        seen.append(panels(data))
        return seen[-1]

    runner.model.panels = look
    runner.train()
    (last,) = seen
    assert list(last) == ['real', 'generator', 'average']
    dataset = runner.train_dataloader.dataset
    spread = [i * len(dataset) // 3 for i in range(3)]
    real = [dataset[i]['inputs'] for i in spread]
    assert torch.equal(last['real'], torch.stack(real))
    for name, use_ema in (('generator', False), ('average', True)):
        made = runner.model.sample(3, use_ema=use_ema)
        assert torch.equal(last[name], made)
    assert not torch.equal(last['generator'], last['average'])
    assert runner.model.generator.training


def test_validation_data_come_first(build_runner):
    """They are not shuffled, and nobody trains on them."""
    loader = dict(
        batch_size=2,
        sampler=dict(type='DefaultSampler', shuffle=False),
        collate_fn=dict(type='default_collate'),
        dataset=dict(
            type='DigitsDataset',
            classes=[7],
            pipeline=[dict(type='PackImage')],
        ),
    )
    hook = SampleHook(num_samples=2)
    runner = build_runner(
        'gan',
        dict(
            val_dataloader=loader,
            val_cfg=dict(),
            val_evaluator=dict(type='Falling'),
        ),
    )
    hook.before_train(runner)
    assert hook._data['data_samples']['gt_label'].tolist() == [7, 7]


def test_one_column_a_class(build_runner):
    hook = SampleHook(num_samples=6, columns=3)
    runner = build_runner('gan')
    runner.model.num_classes = 10
    hook.before_train(runner)
    labels = hook._data['data_samples']['gt_label']
    assert labels.tolist() == [0, 1, 2, 0, 1, 2]


def test_no_random_number_is_used_up(build_runner):
    runner = build_runner('gan')
    assert runner.train_loop.dataloader  # built now
    torch.manual_seed(3)
    before = torch.get_rng_state()
    SampleHook(num_samples=2).before_train(runner)
    assert torch.equal(torch.get_rng_state(), before)


class OnlySamples(BaseModel):
    num_classes = 4

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1, 1)

    def forward(self, *args, **kwargs):
        raise NotImplementedError

    def sample(self, num, labels):
        return labels.view(-1, 1, 1, 1).expand(num, 1, 2, 2).byte()


def test_a_model_of_ones_own_needs_sample_alone():
    hook = SampleHook(num_samples=6, columns=5)
    panels = hook._panels(OnlySamples())
    assert panels['samples'][:, 0, 0, 0].tolist() == [0, 1, 2, 3, 0, 0]


@pytest.mark.parametrize('name', ['interval', 'num_samples', 'columns'])
@pytest.mark.parametrize('value', [0, -1, 1.5])
def test_bad_numbers(name, value):
    with pytest.raises(ValueError, match=f'{name} must be .*{value}'):
        SampleHook(**{name: value})


def test_of_a_model_that_makes_no_samples_nothing_is_drawn(
    build_runner,
):
    hook = dict(type='SampleHook', interval=1)
    runner = build_runner(options=dict(custom_hooks=[hook]))
    warned = []
    runner.logger.warning = warned.append
    runner.train()
    assert runner.iter == 4
    (text,) = (x for x in warned if 'SampleHook' in x)
    assert 'TinyClassifier has no method sample(num, labels)' in text
    assert not list(Path(runner.work_dir).rglob('samples_*.png'))
