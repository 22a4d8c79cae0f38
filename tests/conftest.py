import logging

import pytest
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope
from mmengine.visualization import Visualizer


@pytest.fixture(autouse=True)
def _fresh_globals():
    """MMEngine keeps global instances; each test starts without them."""
    managers = (MessageHub, MMLogger, DefaultScope, Visualizer)
    kept = [(m, m._instance_dict.copy()) for m in managers]
    yield
    for manager, instances in kept:
        manager._instance_dict.clear()
        manager._instance_dict.update(instances)


@pytest.fixture
def mm_log():
    """What has been logged since: ``mm_log(level)`` returns the text."""
    records = []

    class Keep(logging.Handler):
        def emit(self, record):
            records.append(record)

    logger = MMLogger.get_current_instance()
    handler = Keep(logging.DEBUG)
    logger.addHandler(handler)
    yield lambda level=logging.DEBUG: '\n'.join(
        r.getMessage() for r in records if r.levelno >= level
    )
    logger.removeHandler(handler)
