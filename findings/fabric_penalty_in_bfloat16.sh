#!/usr/bin/env bash
# lightning-fabric 2.6.6: a gradient penalty works on a network that was set
# up for '32-true' and raises for 'bf16-mixed': torch.autograd.grad on its
# output asks for fabric.backward(loss), which makes no gradient that can be
# differentiated again. The module inside of it, under fabric.autocast(),
# takes the same call.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy lightning-fabric==2.6.6 2> /dev/null
cat > "$folder/seen.py" <<'PYTHON'
import torch
from lightning_fabric import Fabric


def penalty(network):
    x = torch.randn(4, 3, requires_grad=True)
    output = network(x).sum()
    (slope,) = torch.autograd.grad(output, x, create_graph=True)
    return slope.square().sum()


for precision in ('32-true', 'bf16-mixed'):
    fabric = Fabric(accelerator='cpu', devices=1, precision=precision)
    net = torch.nn.Linear(3, 1)
    net, _ = fabric.setup(net, torch.optim.SGD(net.parameters(), lr=0.1))
    try:
        penalty(net)
        print(precision, 'penalised')
    except RuntimeError as error:
        print(precision, 'asks for', 'fabric.backward' in str(error))
with fabric.autocast():
    penalty(net.module)
print('the module inside', 'penalised')
PYTHON
cat > "$folder/expected.txt" <<'TEXT'
32-true penalised
bf16-mixed asks for True
the module inside penalised
TEXT
"$folder/venv/bin/python" -W ignore "$folder/seen.py" > "$folder/seen.txt" 2> /dev/null
diff "$folder/expected.txt" "$folder/seen.txt" && echo 'as it was seen'
