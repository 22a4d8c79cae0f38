#!/usr/bin/env bash
# Train under Slurm:
#     bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR \
#         [arguments of tools/train.py]
# GPUS (default 8; 0 for a training on CPUs, with as many tasks as
# GPUS_PER_NODE says), GPUS_PER_NODE (default: GPUS, at most 8),
# CPUS_PER_TASK (default 5) and SRUN_ARGS (options of sbatch and srun, such as
# "--time=4:00:00 --nodelist=n1") come from the environment.
# A batch job is submitted and its log followed. Told that it will be
# preempted, it saves a checkpoint, requeues itself and goes on from there.
set -euo pipefail

usage() {
    echo "usage: bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG" \
         "WORK_DIR [arguments of tools/train.py]; $1" >&2
    exit 2
}

submit() {
    [[ $# -ge 4 ]] || usage "got: $*"
    local partition=$1 name=$2 config=$3 work_dir=$4
    shift 4
    local argument
    for argument in "$@"; do
        [[ ! $argument =~ ^--work-dir(=|$) ]] ||
            usage "the work dir is the fourth argument, $work_dir; got $argument too"
    done
    local gpus=${GPUS:-8}
    [[ $gpus =~ ^[0-9]+$ ]] || usage "GPUS=$gpus is no number"
    local per_node=${GPUS_PER_NODE:-$((gpus > 0 && gpus < 8 ? gpus : 8))}
    [[ $per_node =~ ^[1-9][0-9]*$ ]] ||
        usage "GPUS_PER_NODE=$per_node is no number >= 1"
    [[ -f $config || $config == *::* ]] || usage "config file '$config' does not exist"
    command -v sbatch > /dev/null ||
        usage "there is no sbatch here: run it where Slurm's commands are"
    local tasks=(--ntasks="$gpus" --gres=gpu:"$per_node")
    [[ $gpus -gt 0 ]] || tasks=(--ntasks="$per_node")

    mkdir -p "$work_dir"
    local log=$work_dir/slurm.log
    touch "$log"
    rm -f "$work_dir/.slurm_code"
    tail -n 0 -F "$log" 2> /dev/null &
    local follower=$!
    # shellcheck disable=SC2064
    trap "kill $follower 2> /dev/null || true" EXIT
    trap 'echo "The job goes on; its log is $log (squeue, scancel)" >&2
          exit 130' INT
    local code=0
    # USR1 a minute and a half before a time limit, to the batch script;
    # SRUN_ARGS may say otherwise.
    # shellcheck disable=SC2086
    sbatch --wait --requeue --open-mode=append --signal=B:USR1@90 \
        --partition="$partition" --job-name="$name" --output="$log" \
        "${tasks[@]}" --ntasks-per-node="$per_node" \
        --cpus-per-task="${CPUS_PER_TASK:-5}" ${SRUN_ARGS:-} \
        "$0" --in-job "$(cd "$(dirname "$0")" && pwd)" "$config" "$work_dir" \
        "$@" &
    wait $! || code=$?
    [[ $code -ne 0 ]] || code=$(said_code "$work_dir/.slurm_code")
    rm -f "$work_dir/.slurm_code"
    sleep 1
    exit "$code"
}

# What the job said of itself at its end: `sbatch --wait` takes 0 from a
# cancelled one that still saves its checkpoint. Slurm lets it do so for
# KillWait, 30 s by default, and a shared folder takes its time too.
said_code() {
    for _ in $(seq 90); do
        if [[ -s $1 ]]; then
            cat "$1"
            return
        fi
        sleep 1
    done
    echo "The job was ended before it could say how it went" >&2
    echo 1
}

# In the job: train in all tasks, and requeue where they were preempted.
in_job() {
    local tools=$1 config=$2 work_dir=$3
    shift 3
    local first
    first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
    MASTER_ADDR=$(scontrol show node "$first" --oneliner |
        grep -o 'NodeAddr=[^ ]*' | cut -d= -f2)
    export MASTER_ADDR
    export MASTER_PORT=${PORT:-$((20000 + SLURM_JOB_ID % 10000))}
    export MMAMP_PREEMPTED=$work_dir/.preempted
    rm -f "$MMAMP_PREEMPTED" "$work_dir/.slurm_code"
    # Before its first checkpoint it begins as it was told to.
    if [[ ${SLURM_RESTART_COUNT:-0} -gt 0 && -e $work_dir/last_checkpoint ]]
    then
        set -- "$@" --resume
    fi

    srun --kill-on-bad-exit=1 "${PYTHON:-python}" -u "$tools/train.py" \
        "$config" --work-dir "$work_dir" --launcher slurm "$@" &
    local step=$!
    # srun hands these on to its tasks, which save a checkpoint.
    local code told=
    trap 'told=1; kill -USR1 $step 2> /dev/null || true' USR1
    trap 'told=1; kill -TERM $step 2> /dev/null || true' TERM
    while :; do
        code=0
        wait $step || code=$?
        # A signal to this script ends the wait, not the step.
        kill -0 $step 2> /dev/null || break
    done
    # Told before it could listen, it has died of the signal: exit codes that
    # are none of its own.
    if [[ -f $MMAMP_PREEMPTED || (-n $told && ! $code =~ ^[0-3]$) ]]; then
        rm -f "$MMAMP_PREEMPTED"
        local state
        state=$(scontrol show job "$SLURM_JOB_ID" --oneliner |
            grep -o 'JobState=[^ ]*' | cut -d= -f2)
        if [[ ! $state =~ ^(RUNNING|PREEMPTED|SUSPENDED)$ ]]; then
            echo "Job $SLURM_JOB_ID is $state: it is not requeued"
            code=143  # it has not completed
        else
            echo "Preempted: requeueing job $SLURM_JOB_ID, which will resume"
            scontrol requeue "$SLURM_JOB_ID"
            # Slurm ends this script, and says how the job went on.
            sleep 60
            exit "$code"
        fi
    fi
    echo "$code" > "$work_dir/.slurm_code"
    exit "$code"
}

if [[ ${1:-} == --in-job ]]; then
    shift
    in_job "$@"
else
    submit "$@"
fi
