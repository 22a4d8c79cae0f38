"""What the sites in both languages have in common."""

from mmamp import __version__

project = 'mmamp'
author = 'The authors of mmamp'
release = version = __version__

extensions = ['myst_parser', 'sphinx.ext.autodoc', 'sphinx.ext.napoleon']
myst_heading_anchors = 3
myst_enable_extensions = ['colon_fence']
html_theme = 'furo'
html_title = f'mmamp {__version__}'

# Docstrings say the types; signatures would say them again, at length.
autodoc_typehints = 'none'
autodoc_member_order = 'bysource'
# Attributes have no place of their own: names such as `name` are in many.
napoleon_use_ivar = True


def setup(app):  # type: ignore[no-untyped-def]
    """Leave out what is private before Napoleon looks at it.

    It cannot look at mmcv's ``cache_randomness``.
    """
    app.connect(
        'autodoc-skip-member',
        lambda app, what, name, *rest: name.startswith('_') or None,
        priority=400,
    )
