#!/usr/bin/env bash
# Make .venv and install mmamp into it: `bash tools/setup.sh [EXTRA ...]`.
# EXTRA is an extra of setup.py beside `mm` and `metrics`, such as `tests` or
# `all`.
# PYTHON names the interpreter (default: python3). If it has a torch, say a GPU
# build, the environment uses that one.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then
    echo "tools/setup.sh: error: $python is not Python 3.10 or newer;" \
         "name another: PYTHON=python3.11 bash tools/setup.sh" >&2
    exit 2
fi

if [ ! -x .venv/bin/python ]; then
    site=()
    if "$python" -c 'import torch' 2>/dev/null; then
        echo "Using the torch that $python has"
        site=(--system-site-packages)
    fi
    "$python" -m venv "${site[@]}" .venv
fi
if ! .venv/bin/python -c 'import torch' 2>/dev/null; then
    .venv/bin/python -m pip install --quiet -r requirements/torch.txt
fi
extras=$(IFS=,; echo "mm,metrics${*:+,$*}")
.venv/bin/python -m pip install --quiet -e ".[$extras]"
.venv/bin/python -c 'import mmamp, torch; print(
    f"mmamp {mmamp.__version__} with torch {torch.__version__} in .venv")'
