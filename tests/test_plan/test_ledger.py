"""Storages that come and go."""

import gc

import torch

from mmamp.plan.ledger import ACTIVATIONS, GRADIENTS, REST, WEIGHTS, Ledger


def test_what_is_freed_is_gone():
    ledger = Ledger()
    kept = torch.empty(100, dtype=torch.uint8)
    ledger.add(kept, WEIGHTS)
    other = torch.empty(50, dtype=torch.uint8)
    ledger.add(other, REST)
    assert ledger.moment(ledger.now).total == 150
    del other
    gc.collect()
    assert ledger.moment(ledger.now).parts == {WEIGHTS: 100}
    assert ledger.peak().parts == {WEIGHTS: 100, REST: 50}


def test_views_share_memory():
    ledger = Ledger()
    whole = torch.empty(4, 4)
    ledger.add(whole, REST)
    assert ledger.add(whole[1:], REST) is None
    assert ledger.moment(ledger.now).total == 64


def test_what_memory_is_for_may_show_later():
    ledger = Ledger()
    grad = torch.empty(10, dtype=torch.uint8)
    ledger.add(grad, REST)
    ledger.turn_into([grad], GRADIENTS)
    assert ledger.peak().parts == {GRADIENTS: 10}


def test_an_allocator_rounds():
    ledger = Ledger(512)
    held = [torch.empty(1), torch.empty(129)]
    for tensor in held:
        ledger.add(tensor, REST)
    assert ledger.moment(ledger.now).total == 512 + 1024


def test_a_storage_that_is_resized():
    ledger = Ledger()
    tensor = torch.empty(100, dtype=torch.uint8)
    ledger.add(tensor, REST)
    from mmamp.compat.torch import storage_key

    ledger.resize(storage_key(tensor), 0)
    assert ledger.moment(ledger.now).total == 0


def test_phases():
    ledger = Ledger()
    with ledger.phase('generator: forward'):
        first = torch.empty(30, dtype=torch.uint8)
        ledger.add(first, ACTIVATIONS, 'generator.0')
        with ledger.phase('generator: backward'):
            second = torch.empty(5, dtype=torch.uint8)
            ledger.add(second, REST)
        del second
        gc.collect()
    peaks = ledger.peaks(0, ledger.now)
    assert peaks == {'generator: forward': 30, 'generator: backward': 35}
    moment = ledger.peak()
    assert (moment.total, moment.mark) == (35, 'generator: backward')
    assert moment.modules == {'generator.0': 30}
    points = ledger.timeline(0, ledger.now, 10)
    assert [mark for mark, _ in points] == [
        'generator: forward',
        'generator: backward',
        'generator: forward',
    ]
    assert points[1][1] == {ACTIVATIONS: 30, REST: 5}
