"""What a run says first: what it trains, on what, how, and where it goes."""

import logging
from typing import Any

import torch
from mmengine.dist import get_world_size
from mmengine.logging import print_log
from torch import nn

from mmamp.datasets.seeded import SeededDataset
from mmamp.engine.hooks.runner_access import named_wrappers, recording_wrappers
from mmamp.logging.console import QuietConsole
from mmamp.utils.listing import listed
from mmamp.utils.modules import unwrap

SHOWN = 6
"""Networks that are named."""


def tell_what_is_trained(runner: Any, quiet: QuietConsole) -> None:
    """Log what a run trains, before it begins.

    Args:
        runner (Runner): All of it built.
        quiet (QuietConsole): Is told what is said by this.
    """
    model = unwrap(runner.model)
    lines = [
        f'Training {type(model).__name__}: {_networks(model)}',
        f'on: {_devices(model)}',
        f'data: {_data(runner.train_dataloader)}',
        f'precision: {_precisions(runner, quiet)}',
        f'for: {runner.max_iters - runner.iter:,} iterations',
        f'to: {runner.work_dir}{_log_file(runner.logger)}',
    ]
    print_log('\n    '.join(lines), logger='current')


def _networks(model: nn.Module) -> str:
    sizes = {
        name: (type(unwrap(module)).__name__, _size(module))
        for name, module in model.named_children()
    }
    texts = [
        f'{name} ({kind}, {size:,} parameters)'
        for name, (kind, size) in sizes.items()
        if size
    ]
    return listed(texts, SHOWN) or f'{_size(model):,} parameters'


def _size(module: nn.Module) -> int:
    return sum(x.numel() for x in module.parameters() if x.requires_grad)


def _devices(model: nn.Module) -> str:
    device = next((x.device for x in model.parameters()), torch.device('cpu'))
    name = str(device)
    if device.type == 'cuda':
        name += f' ({torch.cuda.get_device_name(device)})'
    number = get_world_size()
    if number == 1:
        return name
    return f'{number} processes, this one on {name}'


def _data(loader: Any) -> str:
    dataset = loader.dataset
    if isinstance(dataset, SeededDataset):
        dataset = dataset.dataset
    try:
        size = f', {len(dataset):,} samples'
    except (TypeError, NotImplementedError):
        size = ''  # an endless one
    sampler = getattr(loader, 'batch_sampler', None)
    batch = getattr(sampler, 'batch_size', None) or loader.batch_size
    each = ' of each process' if get_world_size() > 1 else ''
    return f'{type(dataset).__name__}{size}, {batch} in a batch{each}'


def _precisions(runner: Any, quiet: QuietConsole) -> str:
    """Say it for each optimizer, or once where it is the same."""
    found = {
        name: f'float32 ({type(wrapper).__name__})'
        for name, wrapper in named_wrappers(runner)
    }
    for name, wrapper in recording_wrappers(runner):
        found[name] = str(wrapper.precision)
        # AmpMonitorHook says it where there is no such screen.
        quiet.say_no_more(f'{name or "optim_wrapper"}: {found[name]}')
    if len(set(found.values())) == 1:
        return next(iter(found.values()))
    return '; '.join(f'{name}: {text}' for name, text in found.items())


def _log_file(logger: logging.Logger) -> str:
    for handler in logger.handlers:
        if isinstance(handler, logging.FileHandler):
            return (
                '; the config, the environment and the hooks are in '
                f'{handler.baseFilename}'
            )
    return ''
