#!/usr/bin/env bash
# openmim 0.3.9: `mim search PACKAGE --config ID` makes lower case of the ID and
# looks for it among IDs that keep their case. One with a capital letter is
# listed by `--valid-config` and refused by `--config`, in a message that shows
# it as nobody wrote it: 55 of MMagic 1.2.0's 251.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet openmim==0.3.9 'setuptools<82' 2> /dev/null
"$folder/venv/bin/pip" install --quiet --no-deps mmagic==1.2.0 2> /dev/null
cat > "$folder/seen.py" <<'PYTHON'
from mim.commands.search import get_model_info

ids = get_model_info('mmagic').index
print(len(ids), sum(name != name.lower() for name in ids))
for name in ('basicvsr_2xb4_reds4', 'sagan_128_cvt_studioGAN'):
    print(name in ids)
    try:
        print(len(get_model_info('mmagic', configs=[name])))
    except ValueError as error:
        print(str(error).partition('but got ')[2].partition('}')[0] + '}')
PYTHON
cat > "$folder/expected.txt" <<'TEXT'
251 55
True
1
True
{'sagan_128_cvt_studiogan'}
TEXT
cd "$folder"
"$folder/venv/bin/python" -W ignore seen.py > seen.txt
diff expected.txt seen.txt && echo 'as it was seen'
