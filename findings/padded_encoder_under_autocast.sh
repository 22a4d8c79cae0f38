#!/usr/bin/env bash
# torch 2.13.0, nn.TransformerEncoder in evaluation: under autocast of the CPU a
# padding mask raises without gradients, and works with them. The fast path is left
# where torch.is_autocast_enabled(), which speaks of CUDA alone; on a CPU it is
# taken, and has no kernel for a nested tensor under autocast (it works with
# enable_nested_tensor=False).
#
# Output seen, of bfloat16; of float16 it is 'Half':
#     training, with gradients: torch.float32
#     evaluation, with gradients: torch.float32
#     evaluation, without: RuntimeError: expected scalar type Float but found BFloat16
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"${PYTHON:-python3}" -m venv env
env/bin/pip install -q numpy==2.2.6 torch==2.13.0 > pip.log 2>&1
cat > encoder.py <<'P'
import sys

import torch
from torch import nn

layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
encoder = nn.TransformerEncoder(layer, 2)
batch = torch.randn(2, 4, 8)
mask = torch.tensor([[False] * 4, [False, False, True, True]])
seen = []
for mode, gradients in (
    ('training, with gradients', True),
    ('evaluation, with gradients', True),
    ('evaluation, without', False),
):
    encoder.train(mode.startswith('training'))
    try:
        with (
            torch.set_grad_enabled(gradients),
            torch.autocast('cpu', torch.bfloat16),
        ):
            out = encoder(batch, src_key_padding_mask=mask)
        seen.append(str(out.dtype))
    except RuntimeError as error:
        seen.append(f'RuntimeError: {error}')
    print(f'{mode}: {seen[-1]}')
sys.exit(
    seen
    != [
        'torch.float32',
        'torch.float32',
        'RuntimeError: expected scalar type Float but found BFloat16',
    ]
)
P
env/bin/python -W ignore encoder.py
