#!/usr/bin/env bash
# Train on several GPUs, or in several processes on the CPU where there is no
# GPU: bash tools/dist_train.sh CONFIG GPUS [arguments of tools/train.py].
# Several machines: run it on each, with NNODES, NODE_RANK, MASTER_ADDR (of
# the first machine) and PORT in the environment.
set -euo pipefail

if [[ $# -lt 2 || ! $2 =~ ^[1-9][0-9]*$ ]]; then
    echo "usage: bash tools/dist_train.sh CONFIG GPUS" \
         "[arguments of tools/train.py], with GPUS a number >= 1;" \
         "got: $*" >&2
    exit 2
fi
config=$1
gpus=$2
# Told by each process otherwise, with torchrun's own words around it.
if [[ ! -f $config && $config != *::* ]]; then
    echo "config file '$config' does not exist" >&2
    exit 2
fi
shift 2
# What the run says of how to go on begins with this.
printf -v MMAMP_COMMAND 'bash %q %q %q' "$0" "$config" "$gpus"
export MMAMP_COMMAND

if [[ ${NNODES:-1} == 1 && -z ${PORT:-} ]]; then
    # Any free port.
    meeting=(--standalone)
else
    meeting=(--nnodes "${NNODES:-1}" --node-rank "${NODE_RANK:-0}"
             --master-addr "${MASTER_ADDR:-127.0.0.1}"
             --master-port "${PORT:-29500}")
fi
exec "${PYTHON:-python}" -m torch.distributed.run "${meeting[@]}" \
    --nproc-per-node "$gpus" "$(dirname "$0")/train.py" "$config" \
    --launcher pytorch "$@"
