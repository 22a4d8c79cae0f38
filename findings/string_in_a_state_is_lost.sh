#!/usr/bin/env bash
# torch 2.13.0, Optimizer.load_state_dict: a string among a parameter's state is
# loaded as the text of a generator object. What can be iterated over is made
# anew of its parts, by its own type, and str() of a generator is its repr. Lists,
# tuples and bytes come out right.
#
# Output seen, but for the address:
#     saved: fast
#     loaded: <generator object Optimizer.load_state_dict.<locals>._cast.<locals>.<genexpr> at ADDRESS>
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"${PYTHON:-python3}" -m venv env
env/bin/pip install -q numpy==2.2.6 torch==2.13.0 > pip.log 2>&1
cat > states.py <<'P'
import re
import sys

import torch

param = torch.nn.Parameter(torch.zeros(1))
optimizer = torch.optim.SGD([param], lr=0.1)
optimizer.state[param]['mode'] = 'fast'
state = optimizer.state_dict()
print('saved:', state['state'][0]['mode'])
optimizer.load_state_dict(state)
found = re.sub(r'0x\w+', 'ADDRESS', optimizer.state[param]['mode'])
print('loaded:', found)
sys.exit(not found.startswith('<generator object Optimizer.load_state_dict'))
P
env/bin/python -W ignore states.py
