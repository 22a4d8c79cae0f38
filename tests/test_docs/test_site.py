"""The site builds without a warning."""

import os
import subprocess
import sys

import pytest
from doc_blocks import LANGUAGES, ROOT


@pytest.mark.slow
def test_site(tmp_path):
    result = subprocess.run(
        ['bash', 'tools/dev/docs.sh', str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, 'PYTHON': sys.executable, 'PYTHONPATH': str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    for language in LANGUAGES:
        page = tmp_path / language / 'api' / 'hooks.html'
        assert 'mmamp.engine.hooks.OverflowHook' in page.read_text()
