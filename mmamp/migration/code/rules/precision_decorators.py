"""Takes out ``auto_fp16``, ``force_fp32`` and what belongs to them.

Autocast covers the whole forward pass in 1.x, so that ``auto_fp16`` has no
successor. What ``force_fp32`` kept in float32, and ``out_fp32`` put out in
it, is named module by module in ``PrecisionHook``.
"""

from typing import Any, NamedTuple

import libcst as cst

from mmamp.migration.code.blocks import comments_in, replace
from mmamp.migration.code.imports import (
    Origin,
    drop_freed,
    drop_unused,
)
from mmamp.migration.code.names import code, dotted, find, of_type
from mmamp.migration.code.notes import Notes
from mmamp.migration.code.qualified import Names
from mmamp.migration.code.tree import Transformer
from mmamp.migration.rule import Rule

DECORATORS = ('auto_fp16', 'force_fp32')
NO_WRAPPING = (
    "optim_wrapper = dict(type='AmpOptimWrapper') takes the place of "
    'wrap_fp16_model, in training; val_cfg.fp16 in evaluation'
)


class _Decorated(NamedTuple):
    """A method under one of the decorators."""

    owner: str
    method: str
    args: str


def apply(module: cst.Module, notes: Notes) -> cst.Module:
    """Convert a file."""
    if _defines_them(module):
        notes.outside(None, 'defines auto_fp16 or force_fp32 itself')
        return module
    before = module
    module = module.visit(_Decorators(module, notes))
    module = _without_flags(module, notes)
    module = _without_wrapping(module, notes)
    return drop_freed(before, drop_unused(module, _is_ours))


def _defines_them(module: cst.Module) -> bool:
    return any(
        x.name.value in DECORATORS for x in of_type(module, cst.FunctionDef)
    )


def _is_ours(origin: Origin) -> bool:
    return origin.name in (*DECORATORS, 'wrap_fp16_model')


# ---- decorators ------------------------------------------------------------


class _Decorators(Transformer):
    def __init__(self, module: cst.Module, notes: Notes) -> None:
        self.notes = notes
        self.names = notes.names(module)
        super().__init__(module, self._is_decorated)
        self.owners: list[str] = []

    def _is_decorated(self, node: Any) -> bool:
        return isinstance(node, cst.FunctionDef) and any(
            _parts(x, self.names)[0] in DECORATORS for x in node.decorators
        )

    def visit_ClassDef(self, node: cst.ClassDef) -> None:
        self.owners.append(node.name.value)

    def leave_ClassDef(
        self, original_node: cst.ClassDef, updated_node: cst.ClassDef
    ) -> cst.ClassDef:
        self.owners.pop()
        return updated_node

    def leave_FunctionDef(
        self, original_node: cst.FunctionDef, updated_node: cst.FunctionDef
    ) -> cst.FunctionDef:
        lines = list(updated_node.leading_lines)
        kept: list[cst.Decorator] = []
        after = list(updated_node.lines_after_decorators)
        owner = self.owners[-1] if self.owners else ''
        for decorator in updated_node.decorators:
            name, args = _parts(decorator, self.names)
            if name not in DECORATORS:
                kept.append(decorator)
                continue
            self._tell(original_node, owner, name, args)
            lost = [
                *(x for x in decorator.leading_lines if x.comment),
                *comments_in(decorator),
            ]
            if kept:
                after = [*lost, *after]
            else:
                lines += lost
        if len(kept) == len(updated_node.decorators):
            return updated_node
        if not kept:
            lines, after = [*lines, *(x for x in after if x.comment)], []
        return updated_node.with_changes(
            leading_lines=lines,
            decorators=kept,
            lines_after_decorators=after,
        )

    def _tell(
        self,
        node: cst.FunctionDef,
        owner: str,
        name: str,
        args: list[cst.Arg],
    ) -> None:
        """Say what the decorator did, and what does it now."""
        method = node.name.value
        full = f'{owner}.{method}' if owner else method
        given = {x.keyword.value: code(x.value) for x in args if x.keyword}
        output = None
        if given.get('out_fp32', 'False') != 'False':
            output = 'float32'
        if given.get('out_fp16', 'False') != 'False':
            output = 'float16'
        if name == 'auto_fp16' and output is None:
            self.notes.changed(
                node, f'{full}: optim_context applies autocast to all of it'
            )
            return
        is_module = method == 'forward' and bool(owner)
        what = _arguments(node, args)
        if not is_module:
            self.notes.warned(node, _in_words(full, name, output, what))
            return
        rule = [f"pattern=r'<name of {owner} in the model>'"]
        if name == 'auto_fp16':
            rule.append('dtype=None')
        else:
            rule.append("dtype='float32'")
        if output:
            rule.append(f'output_dtype={output!r}')
        self.notes.rules.append(f'dict({", ".join(rule)})')
        self.notes.warned(
            node,
            f'{full}: a rule of PrecisionHook takes its place, under the name '
            f'that {owner} has in model.named_modules()' + _only(name, what),
        )


def _parts(
    decorator: cst.Decorator, names: Names
) -> tuple[str, list[cst.Arg]]:
    """Return a decorator's name where it is from, and its arguments."""
    node = decorator.decorator
    args: list[cst.Arg] = []
    if isinstance(node, cst.Call):
        args, node = list(node.args), node.func
    return names.last(node), args


def _arguments(node: cst.FunctionDef, args: list[cst.Arg]) -> list[str]:
    """Return the arguments that the decorator cast; empty for all."""
    for i, arg in enumerate(args):
        if arg.keyword.value == 'apply_to' if arg.keyword else i == 0:
            strings = of_type(arg.value, cst.SimpleString)
            return [str(x.raw_value) for x in strings]
    return []


def _only(name: str, what: list[str]) -> str:
    if name == 'auto_fp16' or not what:
        return ''
    return f'; it casts all inputs, not only {", ".join(what)}'


def _in_words(
    full: str, name: str, output: str | None, what: list[str]
) -> str:
    if name == 'auto_fp16':
        return (
            f'{full}: its outputs were cast to {output}; PrecisionHook knows '
            'modules, not methods, so call .float() on them where float32 '
            'is needed'
        )
    casts = ' and '.join(f'{x}.float()' for x in what) or '.float()'
    return (
        f'{full}: was in float32; PrecisionHook knows modules, not methods. '
        'Inside of optim_context PyTorch runs losses, norms and reductions '
        f'in float32 anyway; call {casts} at its beginning, inside of '
        'torch.autocast(device_type, enabled=False), if all of it has to be'
    )


# ---- fp16_enabled ----------------------------------------------------------


def _without_flags(module: cst.Module, notes: Notes) -> cst.Module:
    """Take out ``self.fp16_enabled = False`` where nothing reads it."""
    uses = find(module, _is_flag)
    lines = [x for x in of_type(module, cst.SimpleStatementLine) if _sets(x)]
    if not lines or len(uses) != len(lines):
        return module
    for line in lines:
        notes.changed(line, 'fp16_enabled has no meaning in 1.x')
    return replace(module, {line: [] for line in lines})


def _is_flag(node: Any) -> bool:
    if isinstance(node, cst.SimpleString):
        return node.raw_value == 'fp16_enabled'
    return (
        isinstance(node, cst.Attribute) and node.attr.value == 'fp16_enabled'
    )


def _sets(line: cst.SimpleStatementLine) -> bool:
    if len(line.body) != 1 or not isinstance(line.body[0], cst.Assign):
        return False
    assign = line.body[0]
    return (
        len(assign.targets) == 1
        and dotted(assign.targets[0].target) == 'self.fp16_enabled'
        and code(assign.value) == 'False'
    )


# ---- wrap_fp16_model -------------------------------------------------------


def _without_wrapping(module: cst.Module, notes: Notes) -> cst.Module:
    actions: dict[cst.CSTNode, list[Any]] = {}
    names = notes.names(module)
    for line in of_type(module, cst.SimpleStatementLine):
        calls = [
            x
            for x in of_type(line, cst.Call)
            if names.last(x.func) == 'wrap_fp16_model'
        ]
        if not calls:
            continue
        statement = line.body[0]
        if isinstance(statement, cst.Expr) and statement.value is calls[0]:
            notes.changed(line, NO_WRAPPING)
            actions[line] = []
        else:
            actions[line] = [notes.todo(line, NO_WRAPPING)]
    return replace(module, actions)


RULE = Rule(
    'precision_decorators',
    'auto_fp16, force_fp32 and what belongs to them',
    apply,
    ('auto_fp16', 'force_fp32', 'fp16_enabled', 'wrap_fp16_model'),
)
