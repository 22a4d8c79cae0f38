"""MMEngine's constructor of one optimizer, building as mmamp's do."""

import copy
from typing import Any

from mmengine.optim import DefaultOptimWrapperConstructor as MMEngineDefault
from mmengine.optim import OptimWrapper
from torch import nn

from mmamp.registry import OPTIM_WRAPPER_CONSTRUCTORS
from mmamp.utils.modules import unwrap

from .building import build_wrapper
from .optimizer_builder import build_optimizer
from .param_matching import ParamMatcher
from .param_rules import build_by_rules

LABEL = 'optim_wrapper'


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class DefaultOptimWrapperConstructor(MMEngineDefault):
    """MMEngine's default constructor, with more optimizers and clear errors.

    The optimizer holds the parameters of MMEngine's in the same order, frozen
    ones included where there is no ``paramwise_cfg``: checkpoints of the one
    resume in the other. It is built as by :class:`OptimWrapperConstructor`,
    whose ``param_groups`` work here too.

    Args:
        optim_wrapper_cfg (dict): The wrapper's config, with ``optimizer``.
        paramwise_cfg (dict, optional): MMEngine's parameter-wise options.
            Defaults to None.

    Raises:
        TypeError: If a value in it is of a wrong type.
        ValueError: If a type or value is not valid.

    Examples:
        >>> optim_wrapper = dict(
        ...     type='mmamp.AmpOptimWrapper',
        ...     constructor='mmamp.DefaultOptimWrapperConstructor',
        ...     optimizer=dict(type='AdamW', lr=1e-3),
        ...     param_groups=[
        ...         dict(dims=[2], optimizer=dict(type='Muon', lr=0.02)),
        ...         dict()])
    """

    def __init__(
        self,
        optim_wrapper_cfg: dict[str, Any],
        paramwise_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(optim_wrapper_cfg, paramwise_cfg)

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Build the wrapper.

        Args:
            model (nn.Module): The model, inside of model wrappers or not.
        """
        model = unwrap(model)
        matcher = ParamMatcher(model)
        names, claim = matcher.param_names, matcher.claim_model(LABEL)
        cfg = copy.deepcopy(self.optim_wrapper_cfg)
        cfg.setdefault('type', 'OptimWrapper')
        rules = cfg.pop('param_groups', None)
        optimizer_cfg = copy.deepcopy(self.optimizer_cfg)
        if scope := cfg.get('_scope_'):
            optimizer_cfg.setdefault('_scope_', scope)
        if rules is None:
            optimizer = build_optimizer(
                optimizer_cfg, self._groups(model), claim, names, LABEL
            )
        else:
            optimizer = build_by_rules(
                rules, optimizer_cfg, self.paramwise_cfg, claim, names, LABEL
            )
        return build_wrapper(cfg, optimizer, names, LABEL)

    def _groups(self, model: nn.Module) -> list[dict[str, Any]]:
        if not self.paramwise_cfg:
            return [dict(params=list(model.parameters()))]
        groups: list[dict[str, Any]] = []
        self.add_params(groups, model)
        return groups
