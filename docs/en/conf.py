"""The site in English: `bash tools/dev/docs.sh`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from conf_common import *  # noqa: F403

language = 'en'
