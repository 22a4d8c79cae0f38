"""Whether this torch has all that FSDP2 needs, from 2.7 on."""

from mmamp.compat.torch import CAN_SHARD as HAS_FSDP2

WHY = 'FSDP2 needs torch >= 2.7'
__all__ = ['HAS_FSDP2', 'WHY']
