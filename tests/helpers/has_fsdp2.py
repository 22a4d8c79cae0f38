"""Whether this torch has FSDP2, from 2.6 on."""

from torch.distributed import fsdp

HAS_FSDP2 = hasattr(fsdp, 'fully_shard')
WHY = 'FSDP2 needs torch >= 2.6'
