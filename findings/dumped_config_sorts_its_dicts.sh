#!/usr/bin/env bash
# MMEngine 0.10.7: Config.dump and pretty_text write the keys of dicts in
# the order of their text, and not as they were. Where the order means something
# (MMagic's PGGAN takes image scales from a dict, and asserts that they grow),
# the dumped config is another one: 4, 8, 16, 128 comes back as 128, 16, 4, 8.
# Top-level keys are sorted too.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet mmengine==0.10.7 torch==2.13.0 numpy setuptools 2> /dev/null
cat > "$folder/seen.py" <<'PYTHON'
from mmengine.config import Config

cfg = Config(dict(
    model=dict(nkimgs_per_scale={'4': 6, '8': 12, '16': 18, '128': 30}),
    b=1,
    a=2))
cfg.dump('dumped.py')
again = Config.fromfile('dumped.py')
print(list(cfg.model.nkimgs_per_scale), list(cfg))
print(list(again.model.nkimgs_per_scale), list(again))
print(cfg.model == again.model)
PYTHON
cat > "$folder/expected.txt" <<'TEXT'
['4', '8', '16', '128'] ['model', 'b', 'a']
['128', '16', '4', '8'] ['a', 'b', 'model']
True
TEXT
cd "$folder"
"$folder/venv/bin/python" -W ignore seen.py > seen.txt
diff expected.txt seen.txt && echo 'as it was seen'
