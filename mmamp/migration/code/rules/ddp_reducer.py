"""Takes out the calls of DDP's reducer, which DDP makes itself in 1.x."""

import libcst as cst

from mmamp.migration.code.blocks import replace
from mmamp.migration.code.imports import Origin, drop_unused
from mmamp.migration.code.names import code, dotted, of_type
from mmamp.migration.code.notes import Notes, is_marked
from mmamp.migration.rule import Rule


def apply(module: cst.Module, notes: Notes) -> cst.Module:
    """Convert a file."""
    left = {
        id(block)
        for x in of_type(module, cst.FunctionDef)
        if is_marked(x)
        for block in of_type(x, cst.If)
    }
    blocks = [
        x
        for x in of_type(module, cst.If)
        if _is_reducer_block(x) and id(x) not in left
    ]
    if not blocks:
        return module
    for block in blocks:
        notes.changed(block, 'DDP prepares for the backward pass by itself')
    module = replace(module, {block: [] for block in blocks})
    return drop_unused(module, _is_find_tensors)


def _is_reducer_block(node: cst.If) -> bool:
    """Recognize ``if ddp_reducer is not None: ddp_reducer.f(...)``."""
    return (
        code(node.test) in ('ddp_reducer', 'ddp_reducer is not None')
        and node.orelse is None
        and all(_is_reducer_call(line) for line in node.body.body)
    )


def _is_reducer_call(line: cst.CSTNode) -> bool:
    return (
        isinstance(line, cst.SimpleStatementLine)
        and len(line.body) == 1
        and isinstance(line.body[0], cst.Expr)
        and isinstance(line.body[0].value, cst.Call)
        and dotted(line.body[0].value.func).startswith('ddp_reducer.')
    )


def _is_find_tensors(origin: Origin) -> bool:
    return origin.name == '_find_tensors'


RULE = Rule('ddp_reducer', "calls of DDP's reducer", apply, ('ddp_reducer',))
