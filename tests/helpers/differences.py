"""Where two states differ."""

import torch


def differences(first, second, at=''):
    """Where two nested structures differ, bit for bit."""
    if isinstance(first, torch.Tensor):
        return [] if torch.equal(first, second) else [at]
    if isinstance(first, dict):
        if first.keys() != second.keys():
            return [f'{at}: {set(first) ^ set(second)}']
        pairs = [(f'{at}.{k}', v, second[k]) for k, v in first.items()]
    elif isinstance(first, (list, tuple)):
        if len(first) != len(second):
            return [f'{at}: {len(first)} and {len(second)}']
        pairs = [
            (f'{at}[{i}]', *both)
            for i, both in enumerate(zip(first, second, strict=True))
        ]
    else:
        return [] if first == second else [f'{at}: {first} and {second}']
    return [
        d for pair in pairs for d in differences(pair[1], pair[2], pair[0])
    ]
