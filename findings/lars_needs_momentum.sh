#!/usr/bin/env bash
# bitsandbytes 0.50.2: PytorchLARS computes its update only where momentum is
# not 0, which is its default: built without arguments other than a rate, its
# first step raises UnboundLocalError. LARS beside it says that it does not
# take a momentum of 0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy packaging 2> /dev/null
"$folder/venv/bin/pip" install --quiet --no-deps bitsandbytes==0.50.2 2> /dev/null
cat > "$folder/seen.py" <<'PYTHON'
import torch
from bitsandbytes.optim import LARS, PytorchLARS

cases = (
    (PytorchLARS, {}),
    (PytorchLARS, {'momentum': 0.9}),
    (LARS, {}),
)
for kind, options in cases:
    param = torch.nn.Parameter(torch.ones(4))
    param.grad = torch.ones(4)
    try:
        kind([param], lr=0.1, **options).step()
        print(kind.__name__, options, 'steps')
    except Exception as error:
        print(kind.__name__, options, type(error).__name__)
PYTHON
cat > "$folder/expected.txt" <<'TEXT'
PytorchLARS {} UnboundLocalError
PytorchLARS {'momentum': 0.9} steps
LARS {} NotImplementedError
TEXT
"$folder/venv/bin/python" -W ignore "$folder/seen.py" > "$folder/seen.txt"
diff "$folder/expected.txt" "$folder/seen.txt" && echo 'as it was seen'
