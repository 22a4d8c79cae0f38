#!/usr/bin/env bash
# torch 2.13.0, FSDP2: of the parameters that are sharded together, each rank
# reduces the gradients that it has. Where rank 0 has run `a` and rank 1 has run
# `b`, of one shape, half of each other's gradient ends up in both, without a
# word. `set_reduce_scatter_unused_params(True)`, new in it, has zeros stand for
# the missing ones; its default is False.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy==2.4.6 2> /dev/null
cat > "$folder/seen.py" <<'PYTHON'
import sys

import torch
from torch import distributed, nn
from torch.distributed.fsdp import fully_shard


class Routed(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = (nn.Linear(2, 2, bias=False) for _ in range(2))

    def forward(self, x, route):
        return getattr(self, route)(x)


distributed.init_process_group('gloo')
rank = distributed.get_rank()
model = fully_shard(Routed())
model.set_reduce_scatter_unused_params(sys.argv[1] == 'True')
# Each expert's gradient is one where rank 0 runs it, and 100 where rank 1 does.
x = torch.ones(1, 2) * (1 if rank == 0 else 100)
model(x, 'a' if rank == 0 else 'b').sum().backward()
found = {n: p.grad for n, p in model.named_parameters()}
found = {
    name: None if grad is None else grad.full_tensor().flatten().tolist()
    for name, grad in found.items()
    # Gathered by all ranks alike, or not at all.
    if sys.argv[1] == 'True'
} or {
    name: 'none' if grad is None else grad.to_local().flatten().tolist()
    for name, grad in found.items()
}
for i in range(2):
    distributed.barrier()
    if rank == i:
        print(f'rank {rank}, zeros for the missing: {sys.argv[1]}:', found)
        sys.stdout.flush()
distributed.destroy_process_group()
PYTHON
cat > "$folder/expected.txt" <<'TEXT'
rank 0, zeros for the missing: False: {'a.weight': [50.5, 50.5], 'b.weight': 'none'}
rank 1, zeros for the missing: False: {'a.weight': 'none', 'b.weight': [50.5, 50.5]}
rank 0, zeros for the missing: True: {'a.weight': [0.5, 0.5, 0.5, 0.5], 'b.weight': [50.0, 50.0, 50.0, 50.0]}
rank 1, zeros for the missing: True: {'a.weight': [0.5, 0.5, 0.5, 0.5], 'b.weight': [50.0, 50.0, 50.0, 50.0]}
TEXT
for zeros in False True; do
    OMP_NUM_THREADS=1 "$folder/venv/bin/python" -m torch.distributed.run \
        --standalone --nproc-per-node 2 "$folder/seen.py" $zeros 2> /dev/null
done > "$folder/seen.txt"
diff "$folder/expected.txt" "$folder/seen.txt" && echo 'as it was seen'
