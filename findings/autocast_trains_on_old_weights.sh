#!/usr/bin/env bash
# torch 2.13.0: autocast casts a weight once for as long as its outermost context
# lasts. An optimizer that steps inside of it changes the weight, and the next
# forward pass in the same context runs on the old one: the loss below does not
# move until the context is left, or torch.clear_autocast_cache() is called.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy
cat > "$folder/seen.py" <<'PYTHON'
import torch
from torch import nn


def losses(clear):
    net = nn.Linear(4, 1, bias=False)
    nn.init.ones_(net.weight)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    x, found = torch.ones(2, 4), []
    with torch.autocast("cpu", torch.bfloat16):
        for _ in range(3):
            loss = (net(x).float() - 3).square().mean()
            found.append(round(loss.item(), 2))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if clear:
                torch.clear_autocast_cache()
    return found


print("one context:", losses(clear=False))
print("cleared after each step:", losses(clear=True))
PYTHON
cat > "$folder/expected.txt" <<'TEXT'
one context: [1.0, 1.0, 1.0]
cleared after each step: [1.0, 0.04, 0.0]
TEXT
"$folder/venv/bin/python" -W ignore "$folder/seen.py" > "$folder/seen.txt"
diff "$folder/expected.txt" "$folder/seen.txt" && echo 'as it was seen'
