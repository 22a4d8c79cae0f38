#!/usr/bin/env bash
# onedl-mim 0.5.1 takes the folder of the first file that pip recorded for a
# package's own. pip sorts, and `mmagic-1.2.0.dist-info/` comes before `mmagic/`:
# a package whose distribution has the name of its module, mmagic, mmpose and
# mmocr of MIM's own list among them, is not found once it is installed from a
# wheel, and is not in `mim list`; its commands look for configs and tools in
# the .dist-info folder.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet onedl-mim==0.5.1 2> /dev/null
"$folder/venv/bin/pip" install --quiet --no-deps mmagic==1.2.0 2> /dev/null
cat > "$folder/seen.py" <<'PYTHON'
import os

from mim.commands.list import list_package
from mim.commands.search import get_model_info
from mim.utils import OFFICIAL_MODULES, get_installed_path

print('mmagic' in OFFICIAL_MODULES)
print(os.path.basename(get_installed_path('mmagic')))
print(list_package())
try:
    get_model_info('mmagic')
except FileNotFoundError as error:
    print('is not found, please upgrade your mmagic' in str(error))
PYTHON
cat > "$folder/expected.txt" <<'TEXT'
True
mmagic-1.2.0.dist-info
[]
True
TEXT
cd "$folder"
"$folder/venv/bin/python" -W ignore seen.py > seen.txt
diff expected.txt seen.txt && echo 'as it was seen'
