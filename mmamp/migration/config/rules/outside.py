"""What the tool does not convert is said, once."""

from mmamp.migration.config.context import Context
from mmamp.migration.rule import Rule

REASONS = {
    'data': 'data loaders and pipelines are of another making in 1.x '
    '(train_dataloader, val_dataloader, ...); they are not converted here',
    'metrics': 'metrics are val_evaluator and test_evaluator in 1.x; they '
    'are not converted here',
}


def apply(context: Context) -> None:
    """Apply the rule."""
    for name, reason in REASONS.items():
        context.outside(name, reason)


RULE = Rule('outside', 'what the tool does not convert', apply)
