"""What the sites in both languages have in common."""

from sphinx.ext.napoleon import _skip_member

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
    """Take back Napoleon's choice of members, which has nothing to choose.

    It is for settings that are not used here, and mmcv's
    ``cache_randomness`` breaks it.
    """

    def take_back(app):  # type: ignore[no-untyped-def]
        listeners = app.events.listeners['autodoc-skip-member']
        listeners[:] = [x for x in listeners if x.handler is not _skip_member]

    app.connect('builder-inited', take_back)
