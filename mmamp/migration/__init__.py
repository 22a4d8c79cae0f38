"""From 0.x to 1.x: configs and code rewritten by a tool, not by hand.

One rule is one file. Rules of configs are in ``config/rules``, rules of code
in ``code/rules``; ``report`` is what both say of their work. Nothing here
imports torch, MMEngine's runner or what the files to migrate import.
"""
