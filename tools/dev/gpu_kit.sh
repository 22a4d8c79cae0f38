#!/usr/bin/env bash
# What a machine with a GPU shows, for one that may be had for minutes and has
# no network:
#     bash tools/dev/gpu_kit.sh pack           # here: wheels into gpu_kit/
#     bash tools/dev/gpu_kit.sh run [MINUTES]  # there: all that it shows
#     bash tools/dev/gpu_kit.sh write [DIR]    # here: into the documentation
# There it needs Python 3.12 with torch, numpy, OpenCV, scikit-learn,
# matplotlib, torchmetrics and pytest. PYTHON names the interpreter.
set -euo pipefail
cd "$(dirname "$0")/../.."
exec "${PYTHON:-python3}" -m benchmarks.gpu_kit "$@"
