"""What enlarging without a network scores: super-resolution's baseline."""

from pathlib import Path

from mmengine.evaluator import Evaluator
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from mmamp.config.loading import load_config
from mmamp.models import SRGAN
from mmamp.models.gans.srgan import enlarged
from mmamp.registry import MODELS


def of_bicubic(config: Path) -> dict[str, float] | None:
    """Evaluate bicubic interpolation on the validation data of a config.

    Args:
        config (Path): Of the config file.

    Returns:
        dict[str, float], optional: Its metrics; None if the config is not of
        super-resolution.
    """
    cfg = load_config(str(config))
    init_default_scope(cfg.get('default_scope', 'mmamp'))
    if not issubclass(MODELS.get(cfg.model.type), SRGAN):
        return None
    loader = Runner.build_dataloader(cfg.val_dataloader)
    evaluator = Evaluator(cfg.val_evaluator)
    for batch in loader:
        size = batch['data_samples']['gt_img'].shape[-2:]
        images = enlarged(batch['inputs'], size)
        evaluator.process([dict(fake_img=image) for image in images], batch)
    metrics: dict[str, float] = evaluator.evaluate(len(loader.dataset))
    return metrics
