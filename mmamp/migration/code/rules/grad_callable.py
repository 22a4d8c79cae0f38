"""Hands losses the wrapper's ``grad`` in place of the loss scaler.

Penalties on gradients scaled and unscaled with ``loss_scaler`` by hand;
``optim_wrapper[...].grad`` is ``torch.autograd.grad`` with true gradients. An
``OptimWrapper`` in float32 has none, and wants ``torch.autograd.grad`` itself.
"""

from typing import Any

import libcst as cst

from mmamp.migration.code.imports import add_module
from mmamp.migration.code.names import bound_names, code, dotted, find, swap
from mmamp.migration.code.notes import Notes
from mmamp.migration.code.operations import SCALER
from mmamp.migration.code.qualified import Names
from mmamp.migration.code.train_steps import TrainStep, change
from mmamp.migration.rule import Rule

PENALTIES = (
    'gen_path_regularizer',
    'gradient_penalty_loss',
    'r1_gradient_penalty_loss',
)
HOW = (
    "losses get grad in place of loss_scaler: data_info=dict(grad='grad') in "
    "place of loss_scaler='loss_scaler', and grad(...) where they called "
    'torch.autograd.grad and unscaled'
)


def apply(module: cst.Module, notes: Notes) -> cst.Module:
    """Convert a file."""
    names = notes.names(module)
    after = change(module, lambda step: _convert(step, notes, names))
    if 'torch.autograd' in after.code and 'torch' not in bound_names(after):
        after = add_module(after, ['torch'], None)
    return after


def _convert(step: TrainStep, notes: Notes, names: Names) -> cst.FunctionDef:
    news: dict[cst.CSTNode, cst.CSTNode] = {}
    wrapper = ''
    # From the last line to the first: each takes the update that follows.
    for node in reversed(find(step.function.body, _is_of_interest)):
        if isinstance(node, cst.Attribute):
            wrapper = code(node.value)
        elif wrapper:
            grad = _grad(step, notes, wrapper)
            new = _new(node, grad, names)
            if new is not node:
                news[node] = new
                notes.warned(node, HOW)
    return swap(step.function, news)


def _grad(step: TrainStep, notes: Notes, wrapper: str) -> cst.BaseExpression:
    """Write what gives the gradients, whatever the wrapper is."""
    known = notes.project.wrappers_of(step.owner.name.value)
    if known and all(x.have_grad for x in known):
        return cst.parse_expression(f'{wrapper}.grad')
    return cst.parse_expression(
        f"getattr({wrapper}, 'grad', torch.autograd.grad)"
    )


def _is_of_interest(node: Any) -> bool:
    if isinstance(node, cst.Attribute):
        return node.attr.value == 'update_params'
    return isinstance(node, (cst.Call, cst.Assign))


def _new(node: Any, grad: cst.BaseExpression, names: Names) -> Any:
    if isinstance(node, cst.Assign):
        return _assignment(node, grad)
    # A file that defines a penalty itself calls it by its name.
    name = names.last(node.func) or dotted(node.func).rpartition('.')[2]
    if name != 'dict' and name not in PENALTIES:
        return node
    args = [_argument(x, grad) for x in node.args]
    if all(a is b for a, b in zip(args, node.args, strict=True)):
        return node
    return node.with_changes(args=args)


def _argument(arg: cst.Arg, grad: cst.BaseExpression) -> cst.Arg:
    if arg.keyword and arg.keyword.value == dotted(arg.value) == SCALER:
        return arg.with_changes(keyword=cst.Name('grad'), value=grad)
    return arg


def _assignment(node: cst.Assign, grad: cst.BaseExpression) -> cst.Assign:
    """Convert ``data['loss_scaler'] = loss_scaler``."""
    target = node.targets[0].target
    if not (
        len(node.targets) == 1
        and dotted(node.value) == SCALER
        and isinstance(target, cst.Subscript)
        and code(target).endswith(("['loss_scaler']", '["loss_scaler"]'))
    ):
        return node
    new = cst.parse_expression(f"{code(target.value)}['grad']")
    targets = [node.targets[0].with_changes(target=new)]
    return node.with_changes(targets=targets, value=grad)


RULE = Rule(
    'grad_callable',
    'the loss scaler as an argument of losses',
    apply,
    (SCALER,),
)
