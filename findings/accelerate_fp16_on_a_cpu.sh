#!/usr/bin/env bash
# accelerate 1.15.0: on a CPU, mixed_precision='fp16' computes in float32.
# The Accelerator goes on to report fp16, has no scaler, and warns of nothing;
# with 'bf16' the same network computes in bfloat16.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 accelerate==1.15.0 2> /dev/null
cat > "$folder/seen.py" <<'PYTHON'
import sys
import warnings

import torch
from accelerate import Accelerator

asked = sys.argv[1]
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter('always')
    accelerator = Accelerator(cpu=True, mixed_precision=asked)
    layer = torch.nn.Linear(3, 1)
    net = accelerator.prepare(torch.nn.Sequential(layer))
    inside = []
    layer.register_forward_hook(lambda m, x, y: inside.append(y.dtype))
    net(torch.randn(4, 3))
said = [x for x in caught if 'fp16' in str(x.message)]
print(asked, accelerator.mixed_precision, accelerator.scaler, inside, said)
PYTHON
cat > "$folder/expected.txt" <<'TEXT'
fp16 fp16 None [torch.float32] []
bf16 bf16 None [torch.bfloat16] []
TEXT
for asked in fp16 bf16; do
    "$folder/venv/bin/python" "$folder/seen.py" $asked 2> /dev/null
done > "$folder/seen.txt"
diff "$folder/expected.txt" "$folder/seen.txt" && echo 'as it was seen'
