"""What is tried: a module for each part, with a function ``find``.

It is called with a function that adds a row to a table: ``add(title,
**cells)``. Each runs in a process of its own.
"""

from collections.abc import Callable

Add = Callable[..., None]
