"""The public name of :func:`mmamp.distributed.sharding.whole`."""

from .distributed.sharding import whole

__all__ = ['whole']
