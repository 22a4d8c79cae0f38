"""What the names of a file are, whatever the file calls them."""

from collections.abc import Collection, Mapping
from functools import cached_property

import libcst as cst
from libcst.metadata import (
    MetadataWrapper,
    QualifiedNameSource,
    Scope,
    ScopeProvider,
)

from .names import dotted

HERE = '<here>'
"""Stands for what the file itself binds, in another way than by an import."""
USUAL = {'nn': 'torch.nn', 'F': 'torch.nn.functional'}
"""What names are taken for that a file uses and does not bind.

It may have them of a star import, or be a piece of another file.
"""


class Names:
    """The names of one state of a file.

    Args:
        module (cst.Module): The file.
    """

    def __init__(self, module: cst.Module) -> None:
        # Held, since a scope is looked up by the identity of a node.
        self.module = module

    @cached_property
    def _scopes(self) -> Mapping[cst.CSTNode, Scope | None]:
        wrapper = MetadataWrapper(self.module, unsafe_skip_copy=True)
        return wrapper.resolve(ScopeProvider)

    def of(self, node: cst.CSTNode) -> frozenset[str]:
        """Find what a name, or an attribute of a name, may be.

        Args:
            node (cst.CSTNode): One that is not in the file is looked at as if
                it stood at the top of it.

        Returns:
            frozenset[str]: Names with the modules that they are imported
            from, with the dots of a relative import; builtins as
            ``builtins.dict``; ``HERE`` for what the file binds itself. Of a
            name that is not bound its text. Empty for other expressions.
        """
        return frozenset(x for x, _ in self._found(node))

    def imported(self, node: cst.CSTNode) -> str:
        """Find what a name is that can be nothing but one import."""
        found = self._found(node)
        if len(found) != 1 or found[0][1] is not QualifiedNameSource.IMPORT:
            return ''
        return found[0][0]

    def is_one_of(self, node: cst.CSTNode, wanted: Collection[str]) -> bool:
        """Tell whether a name can be nothing but what is wanted."""
        found = self.of(node)
        return bool(found) and all(x in wanted for x in found)

    def is_builtin(self, node: cst.CSTNode) -> bool:
        """Tell whether a name can be nothing but one of Python's own."""
        found = self.of(node)
        return bool(found) and all(x.startswith('builtins.') for x in found)

    def last(self, node: cst.CSTNode) -> str:
        """Find the name that a thing has where it is from.

        Returns:
            str: Without the module; empty for what the file binds itself, and
            for what may have several names.
        """
        found = self.of(node)
        lasts = {x.rpartition('.')[2] for x in found}
        return lasts.pop() if len(lasts) == 1 and HERE not in found else ''

    def _found(
        self, node: cst.CSTNode
    ) -> list[tuple[str, QualifiedNameSource | None]]:
        text = dotted(node)
        if not text:
            return []
        root = node
        while isinstance(root, cst.Attribute):
            root = root.value
        scope = self._scopes.get(root) or self._scopes[self.module]
        assert scope is not None
        found = [
            (HERE if x.source is QualifiedNameSource.LOCAL else x.name, x)
            for x in scope.get_qualified_names_for(text)
        ]
        if found:
            return [(name, x.source) for name, x in found]
        first, dot, rest = text.partition('.')
        return [(USUAL.get(first, first) + dot + rest, None)]
