import pytest
import torch


@pytest.mark.parametrize('counts', [1, 2])
def test_waits_for_updates_that_were_not_skipped(build_runner, counts):
    given = {
        'optim_wrapper.accumulative_counts': counts,
        'model.bad_iters': tuple(range(2 * counts, 4 * counts)),
        'train_cfg.max_iters': 6 * counts,
        'custom_hooks': [dict(type='EMAHook', momentum=0.5)],
    }
    runner = build_runner(options=given)
    runner.train()
    (hook,) = [h for h in runner.hooks if type(h).__name__ == 'EMAHook']
    assert type(hook).__module__ == 'mmamp.engine.hooks.ema_hook'
    assert runner.optim_wrapper.skipped_steps == 2
    # Each iteration of a window but the one that found it was to be skipped.
    assert hook.ema_model.steps == 6 * counts - 2
    for value in hook.ema_model.state_dict().values():
        assert torch.isfinite(value).all()
