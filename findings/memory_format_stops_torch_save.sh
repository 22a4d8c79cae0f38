#!/usr/bin/env bash
# torch 2.13.0: a module that keeps a torch.memory_format as an attribute cannot
# be saved by torch.save, whose default pickle protocol is 2; by protocol 4 it
# can, and copy.deepcopy can too. Other attributes of torch (a dtype, a layout)
# are saved by protocol 2.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy
cat > "$folder/seen.py" <<'PYTHON'
import copy
import io
import pickle

import torch
from torch import nn


def tried(name, act):
    try:
        act()
        print(name, "works")
    except TypeError as error:
        print(name, "TypeError:", error)


for value in (torch.float16, torch.strided, torch.channels_last):
    net = nn.Linear(1, 1)
    net.setting = value
    tried(f"torch.save {value}", lambda: torch.save(net, io.BytesIO()))
    tried(f"protocol 4 {value}", lambda: pickle.dumps(net, 4))
    tried(f"deepcopy {value}", lambda: copy.deepcopy(net))
PYTHON
cat > "$folder/expected.txt" <<'TEXT'
torch.save torch.float16 works
protocol 4 torch.float16 works
deepcopy torch.float16 works
torch.save torch.strided works
protocol 4 torch.strided works
deepcopy torch.strided works
torch.save torch.channels_last TypeError: cannot pickle 'module' object
protocol 4 torch.channels_last works
deepcopy torch.channels_last works
TEXT
"$folder/venv/bin/python" -W ignore "$folder/seen.py" > "$folder/seen.txt"
diff "$folder/expected.txt" "$folder/seen.txt" && echo 'as it was seen'
