#!/usr/bin/env bash
# bitsandbytes 0.50.2: on a CPU AdEMAMix32bit cannot take its first step, of
# whatever shape the parameter is. It is no AdEMAMix, which keeps its two
# averages stacked in one state, and keeps one; the CPU's kernel takes two.
# AdEMAMix itself, of 32 bits by default, and AdEMAMix8bit step.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy packaging 2> /dev/null
"$folder/venv/bin/pip" install --quiet --no-deps bitsandbytes==0.50.2 2> /dev/null
cat > "$folder/seen.py" <<'PYTHON'
import torch
from bitsandbytes.optim import AdEMAMix, AdEMAMix8bit, AdEMAMix32bit

for kind in (AdEMAMix32bit, AdEMAMix, AdEMAMix8bit):
    for shape in ((4,), (4, 3), (64, 64)):
        param = torch.nn.Parameter(torch.ones(shape))
        param.grad = torch.ones(shape)
        try:
            kind([param], lr=0.1).step()
            print(kind.__name__, shape, 'steps')
        except RuntimeError as error:
            print(kind.__name__, shape, str(error).partition(' [')[0])
print(issubclass(AdEMAMix32bit, AdEMAMix), issubclass(AdEMAMix8bit, AdEMAMix))
PYTHON
cat > "$folder/expected.txt" <<'TEXT'
AdEMAMix32bit (4,) output with shape
AdEMAMix32bit (4, 3) output with shape
AdEMAMix32bit (64, 64) output with shape
AdEMAMix (4,) steps
AdEMAMix (4, 3) steps
AdEMAMix (64, 64) steps
AdEMAMix8bit (4,) steps
AdEMAMix8bit (4, 3) steps
AdEMAMix8bit (64, 64) steps
False True
TEXT
"$folder/venv/bin/python" -W ignore "$folder/seen.py" > "$folder/seen.txt"
diff "$folder/expected.txt" "$folder/seen.txt" && echo 'as it was seen'
