#!/usr/bin/env bash
# mmengine 0.10.7 (torch 2.13.0), two ranks under its DDP wrapper as the Runner
# makes it (broadcast_buffers=False), a model with BatchNorm: each rank validates
# with its own running statistics, and a checkpoint has the first rank's. The
# score that `save_best` keeps by is none that the checkpoint has.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy==2.4.6 \
    mmengine==0.10.7 opencv-python-headless==4.14.0.94 2> /dev/null ||
    "$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy==2.4.6 \
        mmengine==0.10.7 opencv-python-headless 2> /dev/null
cat > "$folder/seen.py" <<'PYTHON'
import os
import sys

import torch
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.model import BaseModel, MMDistributedDataParallel
from mmengine.runner import Runner
from torch import distributed, nn


class Normed(BaseModel):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(2)

    def forward(self, inputs, mode='tensor'):
        y = self.norm(inputs)
        return dict(loss=y.pow(2).mean()) if mode == 'loss' else [*y]


class Largest(BaseMetric):
    default_prefix = 'x'

    def process(self, data_batch, data_samples):
        self.results += [float(y.abs().max()) for y in data_samples]

    def compute_metrics(self, results):
        return dict(largest=max(results))


several = int(os.environ.get('WORLD_SIZE', 1)) > 1
if several:
    distributed.init_process_group('gloo')
loader = dict(
    batch_size=4,
    num_workers=0,
    collate_fn=dict(type='default_collate'),
    # The second rank's samples are ten times as large.
    dataset=[
        dict(inputs=torch.tensor([1.0, -1.0]) * i * (10 if i % 2 else 1))
        for i in range(16)
    ],
    sampler=dict(type='DefaultSampler', shuffle=False),
)
model = Normed()
if several:
    # The Runner's own, but for the number of a GPU.
    model = MMDistributedDataParallel(model, broadcast_buffers=False)
runner = Runner(
    model=model,
    work_dir=sys.argv[1],
    train_dataloader=loader,
    val_dataloader=loader,
    val_evaluator=Evaluator(Largest()),
    val_cfg=dict(),
    train_cfg=dict(by_epoch=True, max_epochs=1),
    optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.0)),
    log_level='ERROR',
    default_hooks=dict(
        checkpoint=dict(
            type='CheckpointHook', save_best='x/largest', rule='less'
        )
        if several
        else None
    ),
    load_from=None if several else f'{sys.argv[1]}/epoch_1.pth',
)
if several:
    runner.train()
    score = runner.message_hub.get_info('best_score')
else:
    # What is in the file is numbers of a run of ours.
    load = torch.load
    torch.load = lambda *a, **k: load(*a, **{**k, 'weights_only': False})
    score = runner.val()['x/largest']
if not several or distributed.get_rank() == 0:
    print('two ranks' if several else 'the checkpoint', f'{score:.1f}')
PYTHON
{
    OMP_NUM_THREADS=1 "$folder/venv/bin/python" -m torch.distributed.run \
        --standalone --nproc-per-node 2 "$folder/seen.py" "$folder/run"
    "$folder/venv/bin/python" "$folder/seen.py" "$folder/run"
} 2> "$folder/errors.txt" | grep -E '^(two ranks|the checkpoint) ' > "$folder/seen.txt" ||
    { tail -20 "$folder/errors.txt"; exit 1; }
cat > "$folder/expected.txt" <<'TEXT'
two ranks 11.9
the checkpoint 103.1
TEXT
diff "$folder/expected.txt" "$folder/seen.txt" && echo 'as it was seen'
