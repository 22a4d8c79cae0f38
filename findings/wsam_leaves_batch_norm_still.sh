#!/usr/bin/env bash
# pytorch-optimizer 4.1.0: WSAM sets BatchNorm's momentum to 0 for its second
# pass and leaves it there. After the first step a forward pass outside of
# step() no longer moves the running statistics, and nothing says so; in a loop
# that computes its loss before the step, as the README of SAM has it, they
# follow the passes inside of step() alone.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy pytorch-optimizer==4.1.0 2> /dev/null
cat > "$folder/seen.py" <<'PYTHON'
import torch
from pytorch_optimizer import WSAM
from torch import nn

torch.manual_seed(0)
norm = nn.BatchNorm1d(3)
model = nn.Sequential(nn.Linear(3, 3), norm, nn.Linear(3, 1))
optimizer = WSAM(
    model, model.parameters(), torch.optim.SGD, lr=0.1, rho=0.05
)
x = torch.randn(8, 3)


def closure():
    optimizer.zero_grad()
    loss = model(x).square().mean()
    loss.backward()
    return loss


def moved():
    before = norm.running_mean.clone()
    model(torch.randn(8, 3) + 5)
    return not torch.equal(norm.running_mean, before)


print("before a step:", norm.momentum, moved())
optimizer.step(closure)
print("after a step:", norm.momentum, moved())
PYTHON
cat > "$folder/expected.txt" <<'TEXT'
before a step: 0.1 True
after a step: 0 False
TEXT
"$folder/venv/bin/python" -W ignore "$folder/seen.py" > "$folder/seen.txt"
diff "$folder/expected.txt" "$folder/seen.txt" && echo 'as it was seen'
