"""What the tests of the rules share."""

import textwrap

import pytest

from mmamp.migration.config import migrate_config


class Migrated:
    """Files before and after, and what was said of them."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, text, **bases):
        """Migrate a file; the bases stay as they are written."""
        for name, base in bases.items():
            self._write(f'{name}.py', base)
        path = self._write('config.py', text)
        self.result = migrate_config(path)
        return self.result.after

    def after(self, text, **bases):
        """Migrate, once more, and be sure that nothing changes then."""
        once = self(text, **bases)
        first = self.result
        assert self(once, **bases) == once
        self.result = first
        return once

    def said(self, outcome):
        """The reasons with an outcome."""
        return [
            x.reason
            for x in self.result.findings
            if x.outcome.name == outcome.upper()
        ]

    def _write(self, name, text):
        path = self.folder / name
        path.write_text(textwrap.dedent(text).lstrip('\n'))
        return path


@pytest.fixture
def migrated(tmp_path):
    """Migrate texts."""
    return Migrated(tmp_path)


@pytest.fixture
def check(migrated):
    """Compare a text before and after, and run it through twice."""

    def compare(before, after, **bases):
        wanted = textwrap.dedent(after).lstrip('\n')
        assert migrated.after(before, **bases) == wanted
        return migrated

    return compare
