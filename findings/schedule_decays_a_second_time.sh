#!/usr/bin/env bash
# MMEngine 0.10.7, CheckpointHook(save_param_scheduler=False): a run that is
# resumed from such a checkpoint begins its schedule anew, from the learning rate
# that the optimizer had by then, and decays a second time. Runner.resume asks
# whether the checkpoint has the schedules and says nothing where it has not; the
# optimizer's groups bring their rates along.
#
# Six epochs of MultiStepLR(milestones=[2], gamma=0.1); the second run was ended
# after three and resumed. Output seen:
#     at once: [0.1, 0.1, 0.01, 0.01, 0.01, 0.01]
#     resumed: [0.1, 0.1, 0.01, 0.01, 0.01, 0.001]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"${PYTHON:-python3}" -m venv env
env/bin/pip install -q mmengine==0.10.7 numpy==2.2.6 torch==2.13.0 \
    opencv-python-headless==4.12.0.88 'setuptools<81' > pip.log 2>&1
cat > rates.py <<'P'
import sys

import torch
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn


class Model(BaseModel):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(1, 1)

    def forward(self, inputs, data_samples=None, mode='loss'):
        return dict(loss=self.linear(torch.stack(inputs)).square().mean())


class Rates(Hook):
    def __init__(self):
        self.seen = []

    def before_train_epoch(self, runner):
        rate = runner.optim_wrapper.get_lr()['lr'][0]
        self.seen.append(round(rate, 6))


def train(work_dir, epochs, resume):
    rates = Rates()
    runner = Runner(
        model=Model(),
        work_dir=work_dir,
        experiment_name=f'{work_dir}{epochs}',
        train_dataloader=dict(
            batch_size=1,
            dataset=[dict(inputs=torch.ones(1), data_samples=None)] * 2,
            sampler=dict(type='DefaultSampler', shuffle=False),
        ),
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        param_scheduler=dict(
            type='MultiStepLR', by_epoch=True, milestones=[2], gamma=0.1
        ),
        default_hooks=dict(
            checkpoint=dict(type='CheckpointHook', save_param_scheduler=False)
        ),
        custom_hooks=[rates],
        resume=resume,
        log_level='ERROR',
    )
    runner.train()
    return rates.seen


at_once = train('whole', 6, False)
resumed = train('parts', 3, False) + train('parts', 6, True)
print(f'at once: {at_once}')
print(f'resumed: {resumed}')
expected = [0.1, 0.1, 0.01, 0.01, 0.01]
sys.exit(at_once != [*expected, 0.01] or resumed != [*expected, 0.001])
P
# MMEngine's own checkpoints hold more than torch >= 2.6 loads by itself.
TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1 env/bin/python -W ignore rates.py |
    grep -v '^Loads checkpoint'
