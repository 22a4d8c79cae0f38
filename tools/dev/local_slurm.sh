#!/usr/bin/env bash
# A real Slurm of two nodes on this machine, for tests, as root:
#     bash tools/dev/local_slurm.sh start DIR    # all its state is under DIR
#     bash tools/dev/local_slurm.sh stop DIR
# Debian: apt-get install slurm-wlm munge. Commands such as sbatch need
# SLURM_CONF=DIR/slurm.conf in the environment.
set -euo pipefail

if [[ $# -ne 2 || ($1 != start && $1 != stop) ]]; then
    echo "usage: bash tools/dev/local_slurm.sh start|stop DIR; got: $*" >&2
    exit 2
fi
mkdir -p "$2"
dir=$(cd "$2" && pwd)
export SLURM_CONF=$dir/slurm.conf

stop() {
    local file
    for file in "$dir"/*.pid; do
        # One that is dead already leaves the others to be stopped.
        [[ ! -f $file ]] || kill "$(cat "$file")" 2>/dev/null || true
    done
    return 0
}

start() {
    local port=$((30000 + RANDOM % 20000))
    local cpus
    cpus=$(nproc)
    mkdir -p "$dir"/{state,n1,n2}
    chmod 755 "$dir"
    cat > "$SLURM_CONF" <<EOF
ClusterName=mmamp
SlurmctldHost=localhost
SlurmctldPort=$port
SlurmctldPidFile=$dir/slurmctld.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdPidFile=$dir/slurmd-%n.pid
SlurmdLogFile=$dir/slurmd-%n.log
SlurmdSpoolDir=$dir/%n
StateSaveLocation=$dir/state
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$dir/munge.socket
CryptoType=crypto/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
SlurmctldParameters=idle_on_node_suspend
SchedulerParameters=batch_sched_delay=1,sched_interval=2
MinJobAge=30
KillWait=60
NodeName=n1 NodeHostname=localhost NodeAddr=127.0.0.1 Port=$((port + 1)) CPUs=$cpus
NodeName=n2 NodeHostname=localhost NodeAddr=127.0.0.1 Port=$((port + 2)) CPUs=$cpus
PartitionName=test Nodes=n1,n2 Default=YES MaxTime=60 State=UP
EOF
    dd if=/dev/urandom of="$dir/munge.key" bs=32 count=1 status=none
    chmod 400 "$dir/munge.key"
    munged --force --key-file="$dir/munge.key" --socket="$dir/munge.socket" \
        --pid-file="$dir/munged.pid" --log-file="$dir/munged.log" \
        --seed-file="$dir/munged.seed" < /dev/null > /dev/null 2>&1
    slurmctld -c < /dev/null
    slurmd -N n1 < /dev/null
    slurmd -N n2 < /dev/null
    for _ in $(seq 60); do
        if [[ $(sinfo -h -N -o %T 2>/dev/null) == $'idle\nidle' ]]; then
            echo "Slurm is up; SLURM_CONF=$SLURM_CONF"
            return
        fi
        sleep 0.5
    done
    echo "tools/dev/local_slurm.sh: error: the nodes did not come up:" \
         "see $dir/*.log" >&2
    stop
    exit 1
}

"$1"
