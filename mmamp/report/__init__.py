"""Should mixed precision be turned on? Trials of a config, and a page.

``python tools/amp_report.py CONFIG`` runs a config for some iterations in each
dtype, in processes of their own, and writes ``report.html``, ``report.json``
and, where a dtype needs them, ``amp_rules.py``.
"""

from .command import main

__all__ = ['main']
