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

# What torchrun and MMEngine would set too, each with a warning.
if (( gpus > 1 )); then
    export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
    export MKL_NUM_THREADS=${MKL_NUM_THREADS:-1}
fi

if [[ ${NNODES:-1} == 1 && -z ${PORT:-} ]]; then
    # Any free port; by number, for the machine's name may be nobody's.
    meeting=(--standalone --local-addr 127.0.0.1)
else
    if [[ ${NODE_RANK:-0} == 0 && -n ${PORT:-} ]] &&
        ! "${PYTHON:-python}" -c 'import socket, sys
place = socket.socket()
place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
place.bind(("", int(sys.argv[1])))' "$PORT" 2> /dev/null; then
        echo "PORT=$PORT cannot be had on this machine; give another, the same on" \
             "all machines" >&2
        exit 2
    fi
    meeting=(--nnodes "${NNODES:-1}" --node-rank "${NODE_RANK:-0}"
             --master-addr "${MASTER_ADDR:-127.0.0.1}"
             --master-port "${PORT:-29500}")
fi

# torchrun gives its processes 30 s after a signal, and knows fewer signals
# than they do: they get these themselves, save a checkpoint however long that
# takes, and end. A process group of its own, so that Ctrl-C comes once.
set -m
"${PYTHON:-python}" -m torch.distributed.run "${meeting[@]}" \
    --nproc-per-node "$gpus" "$(dirname "$0")/train.py" "$config" \
    --launcher pytorch "$@" < /dev/null &
torchrun=$!
# Else one that is suspended would end the wait for it.
set +m
# A signal to this script ends its wait, not the run.
told=
tell() {
    told=1
    local ranks
    ranks=$(cat /proc/$torchrun/task/*/children 2> /dev/null ||
        pgrep -P $torchrun || true)
    # shellcheck disable=SC2086
    kill -"$1" ${ranks:-$torchrun} 2> /dev/null || true
}
hand_on() {
    told=1
    kill -"$1" $torchrun 2> /dev/null || true
}
trap 'tell TERM' TERM
trap 'tell USR1' USR1
trap 'hand_on INT' INT
trap 'hand_on HUP' HUP
trap 'hand_on QUIT' QUIT
while :; do
    told='' code=0
    wait $torchrun || code=$?
    [[ -n $told ]] || exit "$code"
done
