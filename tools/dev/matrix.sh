#!/usr/bin/env bash
# The tests on other versions of what mmamp stands on:
#     bash tools/dev/matrix.sh [--short] [COMBINATION ...]
# Without names, all combinations; with --short a selection of the tests.
# Environments are kept in MATRIX_DIR (default: ~/.cache/mmamp/matrix) and made
# once; remove the folder to make them anew. A Python that this machine does
# not have is said and passed over.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=${MATRIX_DIR:-$HOME/.cache/mmamp/matrix}

# name      Python  torch   host
combinations='
default     3.11    2.13.0  mmengine
fork        3.11    2.13.0  onedl-mmengine
oldest      3.10    2.4.0   mmengine
newest      3.12    2.13.0  mmengine
'
# What leans most on MMEngine and torch; the last one trains, resumes, tests
# and samples.
fast=(tests/test_config tests/test_engine/test_optimizers
      tests/test_checkpoint/test_safe_load.py tests/test_models/test_base/test_base_gan.py
      'tests/test_configs/test_reference_configs.py::test_embedded_data[dcgan_digits-32x32-amp]')

usage() {
    echo "usage: bash tools/dev/matrix.sh [--short] [COMBINATION ...], of:" \
         "$(awk 'NF { printf "%s ", $1 }' <<< "$combinations"); got: $*" >&2
    exit 2
}

# The interpreter of a version: python3.10, also where pyenv keeps it.
interpreter() {
    local path
    for path in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python; do
        if "$path" -c '' 2> /dev/null; then
            echo "$path"
            return
        fi
    done
    return 1
}

make_environment() {
    local venv=$1 python=$2 torch=$3 host=$4
    "$python" -m venv "$venv"
    local pip=("$venv/bin/python" -m pip install --quiet)
    "${pip[@]}" "torch==$torch"
    if [[ $host == mmengine ]]; then
        "${pip[@]}" -r requirements/mm.txt
    else
        "${pip[@]}" -r requirements/fork.txt
        "${pip[@]}" --no-deps opencv-python \
            "$(grep '^mmcv-lite' requirements/mm.txt)"
    fi
    "${pip[@]}" -e '.[tests]'
    touch "$venv/complete"
}

short=
[[ ${1:-} == --short ]] && { short=1; shift; }
known=" $(awk '{ printf "%s ", $1 }' <<< "$combinations")"
for name; do
    [[ $known == *" $name "* ]] || usage "$@"
done

summary=
failed=0
# The tests have their own standard input.
while read -r -u 3 name version torch host; do
    [[ -n $name ]] || continue
    [[ $# -eq 0 || " $* " == *" $name "* ]] || continue
    title="$name: Python $version, torch $torch, $host"
    if ! python=$(interpreter "$version"); then
        summary+="$title: there is no Python $version here"$'\n'
        continue
    fi
    venv=$folder/$name
    [[ -e $venv/complete ]] || {
        rm -rf "$venv"
        make_environment "$venv" "$python" "$torch" "$host"
    }
    # This checkout, also where another made the environment.
    "$venv/bin/python" -m pip install --quiet -e '.[tests]'
    echo "== $title"
    result=passed
    "$venv/bin/python" -m pytest -n 2 ${short:+"${fast[@]}"} || result=failed
    [[ $result == passed ]] || failed=1
    summary+="$title: $result"$'\n'
done 3<<< "$combinations"
printf '\n%s' "$summary"
exit $failed
