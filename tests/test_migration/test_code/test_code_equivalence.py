"""Steps of 0.x and what they become train the same parameters."""

import copy
from pathlib import Path

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapperDict
from torch import nn

from mmamp.engine.optimizers import AmpOptimWrapper
from mmamp.migration.code import migrate_code

SRGAN = """
class Model(Base):
    def train_step(self, data_batch, optimizer):
        real = data_batch['real']
        fake = self.generator(real)
        log_vars = dict()
        set_requires_grad(self.discriminator, False)
        loss_g, log_vars_g = self.parse_losses(
            dict(loss_g=-self.discriminator(fake).mean()))
        log_vars.update(log_vars_g)
        optimizer['generator'].zero_grad()
        loss_g.backward()
        optimizer['generator'].step()
        set_requires_grad(self.discriminator, True)
        loss_d, log_vars_d = self.parse_losses(
            dict(loss_real=(1 - self.discriminator(real)).relu().mean()))
        optimizer['discriminator'].zero_grad()
        loss_d.backward()
        loss_d, log_vars_d = self.parse_losses(
            dict(loss_fake=self.discriminator(fake.detach()).sigmoid().mean()))
        loss_d.backward()
        log_vars.update(log_vars_d)
        optimizer['discriminator'].step()
        outputs = dict(log_vars=log_vars, num_samples=len(real))
        return outputs
"""
ACCUMULATED = """
class Model(Base):
    batch_accumulation_steps = 2

    def train_step(self, data_batch, optimizer, ddp_reducer=None,
                   loss_scaler=None, use_apex_amp=False, running_status=None):
        real = data_batch['real']
        if running_status is not None:
            curr_iter = running_status['iteration']
        else:
            if not hasattr(self, 'iteration'):
                self.iteration = 0
            curr_iter = self.iteration
        set_requires_grad(self.discriminator, True)
        if curr_iter % self.batch_accumulation_steps == 0:
            optimizer['discriminator'].zero_grad()
        with torch.no_grad():
            fake = self.generator(real)
        loss = (self.discriminator(fake).sigmoid()
                - self.discriminator(real)).mean()
        loss = loss / float(self.batch_accumulation_steps)
        if loss_scaler:
            loss_scaler.scale(loss).backward()
        else:
            loss.backward()
        if (curr_iter + 1) % self.batch_accumulation_steps == 0:
            if loss_scaler:
                loss_scaler.unscale_(optimizer['discriminator'])
                loss_scaler.step(optimizer['discriminator'])
            else:
                optimizer['discriminator'].step()
        if (curr_iter + 1) % 2 != 0:
            return dict(log_vars=dict(), num_samples=1)
        set_requires_grad(self.discriminator, False)
        optimizer['generator'].zero_grad()
        for _ in range(self.batch_accumulation_steps):
            loss = -self.discriminator(self.generator(real)).mean()
            loss = loss / float(self.batch_accumulation_steps)
            loss.backward()
        optimizer['generator'].step()
        return dict(log_vars=dict(), num_samples=1)
"""
HELPERS = """
class Model(Base):
    def backward_discriminator(self, real, fake):
        a = self.discriminator(fake.detach()).sigmoid().mean()
        a.backward()
        b = -self.discriminator(real).mean()
        b.backward()
        return dict(loss=b)

    def backward_generator(self, fake):
        loss = -self.discriminator(fake).mean()
        loss.backward()
        return dict(loss=loss)

    def train_step(self, data_batch, optimizer):
        real = data_batch['real']
        fake = self.generator(real)
        set_requires_grad(self.discriminator, True)
        optimizer['discriminator'].zero_grad()
        log_vars = self.backward_discriminator(real, fake)
        optimizer['discriminator'].step()
        set_requires_grad(self.discriminator, False)
        optimizer['generator'].zero_grad()
        log_vars.update(self.backward_generator(fake))
        optimizer['generator'].step()
        return dict(log_vars=log_vars, num_samples=len(real))
"""

NOT_FROZEN = """
class Model(Base):
    def train_step(self, data_batch, optimizer):
        real = data_batch['real']
        optimizer['generator'].zero_grad()
        fake = self.generator(real)
        loss = -self.discriminator(fake).mean()
        loss.backward()
        optimizer['generator'].step()
        optimizer['discriminator'].zero_grad()
        loss = self.discriminator(fake.detach()).sigmoid().mean()
        loss.backward()
        optimizer['discriminator'].step()
        return dict(log_vars=dict(), num_samples=len(real))
"""


class Base(BaseModel):
    def __init__(self) -> None:
        super().__init__()
        self.generator = nn.Sequential(
            nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4)
        )
        self.discriminator = nn.Sequential(
            nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 1)
        )

    def forward(self, *args, **kwargs):
        raise NotImplementedError


def model_of(text: str) -> Base:
    def set_requires_grad(net, value):
        net.requires_grad_(value)

    scope = dict(Base=Base, torch=torch, set_requires_grad=set_requires_grad)
    exec(text, scope)
    model = scope['Model']()
    torch.manual_seed(1)
    for param in model.parameters():
        nn.init.normal_(param)
    return model


def optimizers_of(model: Base) -> dict:
    return {
        name: torch.optim.SGD(getattr(model, name).parameters(), 0.1)
        for name in ('generator', 'discriminator')
    }


@pytest.mark.parametrize(
    ('text', 'counts'),
    [(SRGAN, 1), (ACCUMULATED, 2), (HELPERS, 1), (NOT_FROZEN, 1)],
)
@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
def test_the_same_is_learned(text, counts, dtype):
    after = migrate_code(text, Path('model.py')).after
    old, new = model_of(text), model_of(after)
    start = copy.deepcopy(new.state_dict())
    optimizers = optimizers_of(old)
    wrappers = OptimWrapperDict(
        **{
            name: AmpOptimWrapper(x, dtype=dtype, accumulative_counts=counts)
            for name, x in optimizers_of(new).items()
        }
    )
    hub = MessageHub.get_current_instance()
    is_old_style = 'running_status' in text
    for i in range(4):
        batch = dict(real=torch.randn(5, 4))
        status = dict(running_status=dict(iteration=i)) if is_old_style else {}
        old.train_step(batch, optimizers, **status)
        hub.update_info('iter', i)
        logs = new.train_step(batch, optim_wrapper=wrappers)
        assert 'num_samples' not in logs
    close = dict(rtol=1e-5, atol=1e-6)
    if dtype == 'bfloat16':
        close = dict(rtol=0.1, atol=0.1)
    for name, param in new.state_dict().items():
        assert not torch.equal(param, start[name])
        torch.testing.assert_close(param, old.state_dict()[name], **close)
