#!/usr/bin/env bash
# accelerate 1.15.0: `with accelerator.accumulate(network)` around each network
# of a GAN counts both in one counter. With two micro-batches a window the one
# whose block comes second in an iteration steps in every iteration, on one
# micro-batch, and the other never does. One block with both,
# `accumulate(d, g)`, has each step once in two.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 accelerate==1.15.0 2> /dev/null
cat > "$folder/seen.py" <<'PYTHON'
import sys

import torch
from accelerate import Accelerator

accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2)
networks = dict(d=torch.nn.Linear(2, 1), g=torch.nn.Linear(2, 2))
optimizers = {
    name: torch.optim.SGD(net.parameters(), lr=0.1)
    for name, net in networks.items()
}
steps = dict.fromkeys(networks, 0)
for name, optimizer in optimizers.items():

    def count(*_, name=name):
        steps[name] += 1

    optimizer.register_step_post_hook(count)
d, g, of_d, of_g = accelerator.prepare(*networks.values(), *optimizers.values())


def update(loss, optimizer):
    accelerator.backward(loss)
    optimizer.step()
    optimizer.zero_grad()


for _ in range(4):
    if sys.argv[1] == 'apart':
        with accelerator.accumulate(d):
            update(d(g(torch.randn(4, 2)).detach()).mean(), of_d)
        with accelerator.accumulate(g):
            update(d(g(torch.randn(4, 2))).mean(), of_g)
    else:
        with accelerator.accumulate(d, g):
            update(d(g(torch.randn(4, 2)).detach()).mean(), of_d)
            update(d(g(torch.randn(4, 2))).mean(), of_g)
print(sys.argv[1], steps)
PYTHON
cat > "$folder/expected.txt" <<'TEXT'
apart {'d': 0, 'g': 4}
together {'d': 2, 'g': 2}
TEXT
for how in apart together; do
    "$folder/venv/bin/python" "$folder/seen.py" $how 2> /dev/null
done > "$folder/seen.txt"
diff "$folder/expected.txt" "$folder/seen.txt" && echo 'as it was seen'
