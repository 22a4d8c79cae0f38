#!/usr/bin/env bash
# An environment with other people's toolboxes, as the registry has them:
#     bash tools/dev/toolboxes.sh [--lite | --fork]
# It is kept in TOOLBOXES_DIR (default: ~/.cache/mmamp/toolboxes) and made
# once; remove the folder to make it anew. mmcv's operators are compiled, which
# takes half an hour on two cores; the wheel is kept beside it. With --lite it
# is mmcv-lite, which has none: tests/toolboxes/shims has stand-ins for two.
# With --fork it is the onedl-* packages, whose mmcv is built without operators.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=${TOOLBOXES_DIR:-$HOME/.cache/mmamp/toolboxes}
name=full
case "${1:-}" in
    '') ;;
    --lite) name=lite ;;
    --fork) name=fork ;;
    *) echo "usage: bash tools/dev/toolboxes.sh [--lite | --fork], got: $*" >&2; exit 2 ;;
esac

env=$folder/$name
python=$env/bin/python
if [ ! -e "$env/.made" ]; then
    rm -rf "$env"
    mkdir -p "$folder"
    "${PYTHON:-python3}" -m venv "$env"
    pip() { "$python" -m pip install --quiet --disable-pip-version-check "$@"; }
    pip 'setuptools<81' wheel
    pip -r requirements/torch.txt
    if [ $name = fork ]; then
        pip 'numpy>2' opencv-python-headless matplotlib pillow scipy prettytable rich \
            termcolor pyyaml requests tqdm regex importlib-metadata packaging \
            scikit-learn scikit-image tensorboard six model-index==0.1.11 platformdirs
        # Where torch is not seen, as in pip's own place for building, no
        # operator is compiled.
        pip --no-deps -r requirements/toolboxes_fork.txt
        touch "$env/.made"
        echo "$python"
        exit
    fi
    # Of numpy 1, as mmcv 2.1 and mmagic are; these bring what they need.
    pip 'setuptools<81' 'numpy<2' 'opencv-python<4.12' 'matplotlib<3.10' 'pillow<13' \
        'scikit-image<0.26' 'scipy<1.17' 'pandas<3' prettytable rich termcolor \
        pyyaml requests tqdm regex importlib-metadata safetensors \
        'tokenizers<0.19' filelock packaging scikit-learn tensorboard numba \
        'qudida>=0.0.4' sentencepiece imageio lazy_loader networkx tifffile \
        model-index==0.1.11 six platformdirs
    pip --no-deps -r requirements/toolboxes.txt
    if [ $name = lite ]; then
        pip --no-deps mmcv-lite==2.1.0
    else
        wheel=$(echo "$folder"/wheels/mmcv-2.1.0-*.whl)
        if [ ! -e "$wheel" ]; then
            echo 'Compiling the operators of mmcv 2.1.0: half an hour'
            pip ninja
            MMCV_WITH_OPS=1 FORCE_CUDA=0 "$python" -m pip wheel --quiet \
                --no-deps --no-build-isolation --no-binary mmcv \
                -w "$folder/wheels" mmcv==2.1.0
            wheel=$(echo "$folder"/wheels/mmcv-2.1.0-*.whl)
        fi
        pip --no-deps "$wheel"
    fi
    touch "$env/.made"
fi
echo "$python"
