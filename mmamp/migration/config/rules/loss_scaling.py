"""Losses of a model that scaled their inner gradients, or did not.

A gradient penalty in 0.x was told of the scaler (``loss_scaler`` in its
``data_info``, ``use_apex_amp``). In mmamp it takes ``optim_wrapper.grad``,
which gives true gradients, and knows nothing of mixed precision.
"""

from mmamp.migration.config.context import Context
from mmamp.migration.config.values import Value
from mmamp.migration.rule import Rule


def apply(context: Context) -> None:
    """Apply the rule."""
    if 'model' not in context or 'model' in context.unclear:
        return
    old = context['model']
    new = _clean(context, old)
    if new is not old:
        context.replace('model', new)
        context.origin('model', 'model')


def _clean(context: Context, value: Value) -> Value:
    """Leave out of a value what told a loss of the scaler."""
    if value.items is not None:
        items = {k: _clean(context, v) for k, v in value.items.items()}
        gone = [x for x in ('loss_scaler', 'use_apex_amp') if x in items]
        for key in gone:
            context.warned(
                items[key],
                f'{key} is dropped: a penalty takes optim_wrapper.grad, '
                'whose gradients are not scaled',
            )
            del items[key]
        if not gone and all(items[k] is v for k, v in value.items.items()):
            return value
        return value.without(*value).with_items(**items)
    if value.elements is not None:
        elements = [_clean(context, x) for x in value.elements]
        if all(map(lambda a, b: a is b, elements, value.elements)):
            return value
        return value.with_elements(elements)
    return value


RULE = Rule('loss_scaling', 'what told losses of the loss scaler', apply)
