import glob
import os

import mmcv
import numpy as np
import pytest

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
    # Two rows of four images of 8x8, with 2 pixels around each.
    assert found['samples_3.png'].shape == (22, 42, 3)
    assert found['samples_3.png'].std() > 0


def test_always_the_same_latents(build_runner):
    model = build_runner('gan').model
    hook = SampleHook(num_samples=4, columns=2)
    first = hook._grid(model)
    np.testing.assert_array_equal(first, hook._grid(model))
    assert model.generator.training


@pytest.mark.parametrize('name', ['interval', 'num_samples', 'columns'])
@pytest.mark.parametrize('value', [0, -1, 1.5])
def test_bad_numbers(name, value):
    with pytest.raises(ValueError, match=f'{name} must be an int >= 1'):
        SampleHook(**{name: value})


def test_a_model_that_makes_no_samples_is_refused_at_once(build_runner):
    runner = build_runner(options=dict(custom_hooks=[dict(type='SampleHook')]))
    text = r'TinyClassifier has no method sample\(num, labels\)'
    with pytest.raises(TypeError, match=text):
        runner.train()
    assert runner.iter == 0
