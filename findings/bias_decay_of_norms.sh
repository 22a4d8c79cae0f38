#!/usr/bin/env bash
# MMEngine 0.10.7, paramwise_cfg=dict(bias_decay_mult=...): it is documented not
# to be of biases in normalization layers, and is, unless norm_decay_mult is given
# too: add_params asks for a normalization layer only where that has a value.
# bias_lr_mult, which is documented alike, leaves them alone.
#
# weight_decay=0.5 and bias_decay_mult=0; output seen:
#     bias_decay_mult alone: norm.bias 0.0
#     beside norm_decay_mult=1: norm.bias 0.5
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"${PYTHON:-python3}" -m venv env
env/bin/pip install -q mmengine==0.10.7 numpy==2.2.6 torch==2.13.0 \
    opencv-python-headless==4.12.0.88 'setuptools<81' > pip.log 2>&1
cat > decays.py <<'P'
import sys
from collections import OrderedDict

from mmengine.logging import MMLogger
from mmengine.optim import build_optim_wrapper
from torch import nn

MMLogger.get_instance('quiet', log_level='ERROR')
model = nn.Sequential(
    OrderedDict(conv=nn.Conv2d(1, 2, 1), norm=nn.BatchNorm2d(2))
)


def decays(**paramwise_cfg):
    wrapper = build_optim_wrapper(
        model,
        dict(
            optimizer=dict(type='SGD', lr=0.1, weight_decay=0.5),
            paramwise_cfg=paramwise_cfg,
        ),
    )
    return {
        name: group['weight_decay']
        for group in wrapper.param_groups
        for name, mine in model.named_parameters()
        if any(mine is x for x in group['params'])
    }


alone = decays(bias_decay_mult=0.0)
beside = decays(bias_decay_mult=0.0, norm_decay_mult=1.0)
print(f'bias_decay_mult alone: norm.bias {alone["norm.bias"]}')
print(f'beside norm_decay_mult=1: norm.bias {beside["norm.bias"]}')
expected = {'conv.weight': 0.5, 'conv.bias': 0.0, 'norm.weight': 0.5}
sys.exit(
    alone != {**expected, 'norm.bias': 0.0}
    or beside != {**expected, 'norm.bias': 0.5}
)
P
env/bin/python -W ignore decays.py
