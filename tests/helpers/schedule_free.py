"""An optimizer that evaluates other weights than it trains on."""

import torch


class ScheduleFreeSGD(torch.optim.Optimizer):
    """Schedule-free SGD (Defazio et al., NeurIPS 2024), as published ones are.

    In training the model has ``y = (1 - beta) z + beta x``, for evaluation
    ``x``; it has to be told which is meant, and computes one of the other.
    """

    def __init__(self, params, lr=0.1, beta=0.9):
        super().__init__(params, dict(lr=lr, beta=beta, k=0, training=False))

    @torch.no_grad()
    def _move(self, weight, training):
        for group in self.param_groups:
            if group['training'] is training:
                continue
            group['training'] = training
            for param in group['params']:
                if 'z' in self.state[param]:
                    param.lerp_(self.state[param]['z'], weight(group['beta']))

    def eval(self):
        self._move(lambda beta: 1 - 1 / beta, False)

    def train(self):
        self._move(lambda beta: 1 - beta, True)

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            if not group['training']:
                raise RuntimeError('call train() first')
            group['k'] += 1
            share, beta = 1 / group['k'], group['beta']
            for y in group['params']:
                if y.grad is None:
                    continue
                z = self.state[y].setdefault('z', y.clone())
                y.lerp_(z, share)
                y.add_(y.grad, alpha=group['lr'] * (beta * (1 - share) - 1))
                z.sub_(y.grad, alpha=group['lr'])


class Lookahead(torch.optim.SGD):
    """Slow weights beside fast ones, with one method that joins them."""

    def __init__(self, params, lr=0.1, pair=False):
        super().__init__(params, lr)
        if pair:
            self.backup_and_load_cache = self._load
            self.clear_and_load_backup = self._clear
        else:
            self.sync_lookahead = self._join

    @torch.no_grad()
    def step(self, closure=None):
        for param in self.param_groups[0]['params']:
            slow = self.state[param].setdefault('slow', param.clone())
            param.lerp_(slow, 0.1)
        super().step()

    @torch.no_grad()
    def _join(self):
        for param, state in self.state.items():
            state['slow'].lerp_(param, 0.5)
            param.copy_(state['slow'])

    @torch.no_grad()
    def _load(self):
        for param, state in self.state.items():
            state['backup'] = param.clone()
            param.copy_(state['slow'])

    @torch.no_grad()
    def _clear(self):
        for param, state in self.state.items():
            param.copy_(state.pop('backup'))
