#!/usr/bin/env bash
# Build the documentation in both languages; a warning is an error:
# `bash tools/dev/docs.sh [DIR]`. PYTHON names the interpreter.
set -euo pipefail
out=$(realpath -m "${1:-docs/_build}")
cd "$(dirname "$0")/../.."

for language in en zh_cn; do
    "${PYTHON:-python}" -m sphinx --fail-on-warning --keep-going --quiet \
        "docs/$language" "$out/$language"
    echo "$out/$language/index.html"
done
