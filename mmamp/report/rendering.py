"""A page of one file, which needs nothing from elsewhere."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader


def render(template: Path, page: Path, **context: Any) -> Path:
    """Write a page by a template.

    Args:
        template (Path): Of jinja2.
        page (Path): Of the page.
        **context: What the template names.

    Returns:
        Path: Of the page.
    """
    environment = Environment(
        loader=FileSystemLoader(template.parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page.write_text(environment.get_template(template.name).render(**context))
    return page
