"""What is imported on Windows, told by taking away what that lacks."""

import subprocess
import sys

SCRIPT = """
import importlib, pkgutil, signal, sys
import mmcv, mmengine, torch
for name in dir(signal):
    if name.startswith('SIG') and name not in (
        'SIGABRT', 'SIGFPE', 'SIGILL', 'SIGINT', 'SIGSEGV', 'SIGTERM',
        'SIG_DFL', 'SIG_IGN',
    ):
        delattr(signal, name)
for name in ('fcntl', 'grp', 'pwd', 'resource', 'termios'):
    sys.modules[name] = None
import mmamp
for found in pkgutil.walk_packages(mmamp.__path__, 'mmamp.'):
    importlib.import_module(found.name)
from mmamp.engine.hooks import PreemptionHook
class Runner:
    train_loop, cfg = None, {}
    def train(self):
        hook = PreemptionHook()
        hook.before_train(self)
        hook.after_train(self)
        hook.after_run(self)
Runner().train()
"""


def test_everything_is_imported():
    subprocess.run([sys.executable, '-c', SCRIPT], check=True)
