#!/usr/bin/env bash
# MMEngine 0.10.7: FileClient.register_backend(..., prefixes=..., force=True)
# replaces the backend of a name, but not that of a prefix, which goes on naming
# the one that had it first. So `s3://` means Petrel, whoever registers another
# backend for it; register_backend of the newer functions does replace it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet mmengine==0.10.7 torch==2.13.0 numpy setuptools
cat > "$folder/seen.py" <<'PYTHON'
from mmengine.fileio import (
    BaseStorageBackend,
    FileClient,
    get_file_backend,
    register_backend,
)


class Mine(BaseStorageBackend):
    def get(self, filepath):
        return b""

    def get_text(self, filepath):
        return ""


def client(uri):
    prefix = FileClient.parse_uri_prefix(uri)
    return FileClient._prefix_to_backends[prefix].__name__


FileClient.register_backend("mine", Mine, force=True, prefixes="s3")
print("FileClient:", client("s3://bucket/key"))
register_backend("mine.new", Mine, prefixes="s3", force=True)
print("get_file_backend:", type(get_file_backend("s3://bucket/key")).__name__)
print("FileClient, again:", client("s3://bucket/key"))
PYTHON
cat > "$folder/expected.txt" <<'TEXT'
FileClient: PetrelBackend
get_file_backend: Mine
FileClient, again: PetrelBackend
TEXT
"$folder/venv/bin/python" -W ignore "$folder/seen.py" > "$folder/seen.txt"
diff "$folder/expected.txt" "$folder/seen.txt" && echo 'as it was seen'
