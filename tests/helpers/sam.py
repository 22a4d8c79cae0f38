"""An optimizer whose step computes the loss again."""

import torch


class SAM(torch.optim.SGD):
    """Sharpness-aware minimisation (Foret et al., ICLR 2021, algorithm 1)."""

    @torch.no_grad()
    def step(self, closure):
        params = [
            p
            for g in self.param_groups
            for p in g['params']
            if p.grad is not None
        ]
        # Of shards it is that of all ranks.
        norm = sum(p.grad.square().sum() for p in params).sqrt()
        up = [p.grad * (0.05 / norm) for p in params]
        torch._foreach_add_(params, up)
        with torch.enable_grad():
            closure()
        torch._foreach_sub_(params, up)
        super().step()
