#!/usr/bin/env bash
# MMEngine 0.10.7, Runner.test: a metric whose values are all integers, such as
# a count, is null in the JSON file of the test, while the line in the log has
# it. The message hub keeps metrics in NumPy arrays, which are of int64 then, and
# LoggerHook knows Python's numbers, tensors and arrays: a float64 is a float of
# Python's, an int64 is no int, and what is unknown is dropped.
#
# Output seen:
#     correct: null
#     share: 0.75
#     kinds: null
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"${PYTHON:-python3}" -m venv env
env/bin/pip install -q mmengine==0.10.7 numpy==2.2.6 torch==2.13.0 \
    opencv-python-headless==4.12.0.88 'setuptools<81' > pip.log 2>&1
cat > scores.py <<'P'
import json
import sys
from pathlib import Path

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.runner import Runner


class Model(BaseModel):
    def forward(self, inputs, data_samples=None, mode='tensor'):
        return [dict(label=int(x)) for x in inputs]


class Scores(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results += [sample['label'] for sample in data_samples]

    def compute_metrics(self, results):
        right = np.array(results) > 0
        return dict(
            correct=int(right.sum()),
            share=float(right.mean()),
            kinds=len(np.unique(right)),
        )


runner = Runner(
    model=Model(),
    work_dir='work',
    test_dataloader=dict(
        batch_size=2,
        dataset=[dict(inputs=x, data_samples=None) for x in (0, 1, 2, 3)],
        sampler=dict(type='DefaultSampler', shuffle=False),
    ),
    test_cfg=dict(),
    test_evaluator=[Scores()],
    log_level='ERROR',
)
runner.test()
(file,) = Path('work').glob('2*/2*.json')
found = json.loads(file.read_text())
names = ('correct', 'share', 'kinds')
for name in names:
    print(f'{name}: {json.dumps(found[name])}')
sys.exit([found[name] for name in names] != [None, 0.75, None])
P
env/bin/python -W ignore scores.py
