"""``tools/setup.sh``: where packages come from."""

import http.server
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def mirror():
    """An index that has nothing, and what it was asked for."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *args):
            pass

    with http.server.HTTPServer(('127.0.0.1', 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f'http://127.0.0.1:{server.server_port}/simple', asked
        server.shutdown()


@pytest.mark.slow
def test_a_mirror_is_asked(tmp_path, mirror):
    url, asked = mirror
    shutil.copytree(ROOT / 'requirements', tmp_path / 'requirements')
    (tmp_path / 'tools').mkdir()
    shutil.copy(ROOT / 'tools/setup.sh', tmp_path / 'tools')
    env = {k: v for k, v in os.environ.items() if k[:4] != 'PIP_'}
    env |= dict(
        PIP_INDEX_URL=url,
        PIP_CONFIG_FILE=os.devnull,
        NO_PROXY='127.0.0.1',
        no_proxy='127.0.0.1',
        PYTHON=bare_python(tmp_path),
    )
    result = subprocess.run(
        ['bash', tmp_path / 'tools/setup.sh'],
        env=env,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    assert 'No matching distribution found for torch' in result.stderr
    assert asked[0] == '/simple/torch/'


def bare_python(folder):
    """A Python of this release that has no torch."""
    command = [sys.executable, '-m', 'venv', '--without-pip', folder / 'bare']
    subprocess.run(command, check=True)
    return str(folder / 'bare/bin/python')
