#!/usr/bin/env bash
# dowg 0.3.1, ScalarDoWG: step() without a closure, which its signature has as
# optional, does nothing and says nothing: the update is indented into the branch
# that calls the closure. CoordinateDoWG of the same package moves without one.
#
# Output seen:
#     CoordinateDoWG moved: True
#     ScalarDoWG moved: False
#     ScalarDoWG with a closure moved: True
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"${PYTHON:-python3}" -m venv env
env/bin/pip install -q numpy==2.2.6 torch==2.13.0 dowg==0.3.1 > pip.log 2>&1
cat > moves.py <<'P'
import sys

import torch
from dowg import CoordinateDoWG, ScalarDoWG


def moved(kind, with_closure):
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = kind([weight])
    for _ in range(5):

        def closure():
            optimizer.zero_grad()
            loss = weight.square().sum()
            loss.backward()
            return loss

        if with_closure:
            with torch.enable_grad():
                optimizer.step(closure)
        else:
            closure()
            optimizer.step()
    return not torch.equal(weight.detach(), torch.ones(3))


print('CoordinateDoWG moved:', other := moved(CoordinateDoWG, False))
print('ScalarDoWG moved:', alone := moved(ScalarDoWG, False))
print('ScalarDoWG with a closure moved:', given := moved(ScalarDoWG, True))
sys.exit((other, alone, given) != (True, False, True))
P
env/bin/python -W ignore moves.py
