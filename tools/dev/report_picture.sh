#!/usr/bin/env bash
# The picture of the AMP report in the documents, from a report made here:
#     bash tools/dev/report_picture.sh
# It needs Debian's chromium, and a machine that does nothing else meanwhile.
set -euo pipefail
cd "$(dirname "$0")/../.."
config=configs/dcgan/dcgan_digits-32x32.py
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

"${PYTHON:-python}" tools/amp_report.py "$config" --out "$out"
chromium --headless=new --no-sandbox --disable-gpu --hide-scrollbars \
    --window-size=1000,1080 --screenshot="$PWD/docs/amp_report.png" \
    "file://$out/report.html"
