#!/usr/bin/env bash
# The picture of the AMP report in the documents, of the notebook's discriminator
# with a layer that float16 cannot hold:
#     bash tools/dev/report_picture.sh
# It needs Debian's chromium, and a machine that does nothing else meanwhile.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
python=$(realpath -s "$(command -v "${PYTHON:-python}")")
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

cd "$out"
"$python" - "$root/demo/first_gan.ipynb" <<'P'
import json
import sys
from pathlib import Path

for cell in json.loads(Path(sys.argv[1]).read_text())['cells']:
    head, _, text = ''.join(cell['source']).partition('\n')
    if head.startswith('%%writefile'):
        Path(head.split()[1]).write_text(text + '\n')
P
PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}" "$python" -m mmamp.report \
    my_energy.py --out "$out/report"
chromium --headless=new --no-sandbox --disable-gpu --hide-scrollbars \
    --window-size=1000,1080 --screenshot="$root/docs/amp_report.png" \
    "file://$out/report/report.html"
