import contextlib

import pytest
from torch import distributed
from torch.testing._internal.distributed.fake_pg import FakeStore


@pytest.fixture
def as_rank():
    """``with as_rank(1):`` is rank 1 of a run, the others being elsewhere."""

    @contextlib.contextmanager
    def process_group(rank, world_size=4):
        distributed.init_process_group(
            'fake', rank=rank, world_size=world_size, store=FakeStore()
        )
        try:
            yield
        finally:
            distributed.destroy_process_group()

    return process_group
