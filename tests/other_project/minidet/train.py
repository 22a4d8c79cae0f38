"""The project's own train.py: MMEngine's Runner and no more."""

import sys

from mmengine.config import Config
from mmengine.runner import Runner


def main(config, work_dir):
    cfg = Config.fromfile(config)
    cfg.work_dir = work_dir
    Runner.from_cfg(cfg).train()
    own = [name for name in sys.modules if name.startswith('mmamp.')]
    print('imported:', *own)


if __name__ == '__main__':
    main(*sys.argv[1:])
