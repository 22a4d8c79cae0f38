#!/usr/bin/env bash
# MMEngine 0.10.7: a config that inherits one of another package's
# (`_base_ = 'mmpretrain::...'`) marks the dicts of it with `_scope_`.
# Runner.build_dataloader takes `type` out of a `collate_fn` and hands on what
# is left, the mark too: the loader is built, and its first batch is a
# TypeError. MMPretrain 1.2.0's self-supervised configs have such a function;
# inherited by their path they load.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet mmengine==0.10.7 torch==2.13.0 numpy 'setuptools<81' 2> /dev/null
"$folder/venv/bin/pip" install --quiet --no-deps mmpretrain==1.2.0 2> /dev/null
cat > "$folder/seen.py" <<'PYTHON'
from importlib.util import find_spec
from pathlib import Path

from mmengine.config import Config
from mmengine.runner import Runner

name = 'simsiam/simsiam_resnet50_8xb32-coslr-100e_in1k.py'
package = Path(find_spec('mmpretrain').origin).parent
for base in (str(package / '.mim/configs' / name), f'mmpretrain::{name}'):
    child = Path('child.py')
    child.write_text(f'_base_ = {base!r}\n')
    loader = Config.fromfile(child).train_dataloader
    loader.update(dataset=[1.0, 2.0], batch_size=2, num_workers=0,
                  persistent_workers=False)
    loader.sampler = dict(type='DefaultSampler', shuffle=False)
    loader = Runner.build_dataloader(loader)
    try:
        seen = len(next(iter(loader)))
    except TypeError as error:
        seen = f'TypeError: {error}'
    print('path:' if base.startswith('/') else 'package:', seen)
PYTHON
cat > "$folder/expected.txt" <<'TEXT'
path: 2
package: TypeError: default_collate() got an unexpected keyword argument '_scope_'
TEXT
cd "$folder"
venv/bin/python -W ignore seen.py > seen.txt
diff expected.txt seen.txt && echo 'as it was seen'
