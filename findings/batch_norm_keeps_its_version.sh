#!/usr/bin/env bash
# torch 2.13.0: F.batch_norm changes its running statistics and leaves their
# version counter as it is; F.instance_norm, and the same batch_norm once it is
# compiled, count. Whoever asks `_version` whether a buffer was written to, in
# an eager forward pass of BatchNorm, is told that it was not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy
cat > "$folder/seen.py" <<'PYTHON'
import torch
from torch import nn

torch.manual_seed(0)


def look(name, module, run, x):
    mean = module.running_mean
    before, version = mean.clone(), mean._version
    run(x)
    changed = not torch.equal(mean, before)
    print(name, "changed:", changed, "versions more:", mean._version - version)


norm = nn.BatchNorm1d(4)
look("BatchNorm1d", norm, norm, torch.randn(8, 4))
norm = nn.InstanceNorm1d(4, track_running_stats=True)
look("InstanceNorm1d", norm, norm, torch.randn(8, 4, 5))
norm = nn.BatchNorm1d(4)
run = torch.compile(norm, backend="aot_eager")
look("BatchNorm1d, aot_eager", norm, run, torch.randn(8, 4))
PYTHON
cat > "$folder/expected.txt" <<'TEXT'
BatchNorm1d changed: True versions more: 0
InstanceNorm1d changed: True versions more: 1
BatchNorm1d, aot_eager changed: True versions more: 2
TEXT
"$folder/venv/bin/python" -W ignore "$folder/seen.py" > "$folder/seen.txt"
diff "$folder/expected.txt" "$folder/seen.txt" && echo 'as it was seen'
