#!/usr/bin/env bash
# torch 2.13.0: a TorchFunctionMode that is on around forward and backward does
# not see what torch.utils.checkpoint runs again, since autograd runs backward
# with such modes off. A mode that changes what operators compute (here: linear
# layers return twice as much) makes another function of the second run, and the
# gradient is neither that of the changed nor of the unchanged network.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy
cat > "$folder/seen.py" <<'PYTHON'
import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils.checkpoint import checkpoint


class Doubles(TorchFunctionMode):
    calls = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if func is nn.functional.linear:
            Doubles.calls += 1
            result = result * 2
        return result


def run(mode):
    net = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False))
    for layer in net:
        nn.init.constant_(layer.weight, 3.0)
    x = torch.ones(1, 1, requires_grad=True)
    Doubles.calls = 0
    with Doubles():
        if mode is None:
            y = net(x)
        else:
            y = checkpoint(net, x, use_reentrant=mode)
        y.sum().backward()
    print(y.item(), x.grad.item(), "calls seen:", Doubles.calls)


for mode in (None, True):
    run(mode)
PYTHON
cat > "$folder/expected.txt" <<'TEXT'
36.0 36.0 calls seen: 2
36.0 9.0 calls seen: 2
TEXT
"$folder/venv/bin/python" -W ignore "$folder/seen.py" > "$folder/seen.txt"
diff "$folder/expected.txt" "$folder/seen.txt" && echo 'as it was seen'
