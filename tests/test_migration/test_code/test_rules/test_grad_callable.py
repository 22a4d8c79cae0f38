from mmamp.migration.code.rules import grad_callable as rule


def grad(name):
    return f"getattr(optimizer['{name}'], 'grad', torch.autograd.grad)"


def test_losses_get_grad_of_the_next_update(becomes):
    done = becomes(
        rule,
        """
        class GAN(Base):
            def train_step(self, data, optimizer, loss_scaler=None):
                x = dict(real=data, loss_scaler=loss_scaler)
                loss = self.disc_loss(x)
                optimizer['disc'].update_params(loss)
                x['loss_scaler'] = loss_scaler
                p = gen_path_regularizer(x, loss_scaler=loss_scaler)
                optimizer['gen'].update_params(p)
        """,
        """
        import torch
        class GAN(Base):
            def train_step(self, data, optimizer, loss_scaler=None):
                x = dict(real=data, grad={})
                loss = self.disc_loss(x)
                optimizer['disc'].update_params(loss)
                x['grad'] = {}
                p = gen_path_regularizer(x, grad={})
                optimizer['gen'].update_params(p)
        """.format(*(grad(x) for x in ('disc', 'gen', 'gen'))),
    )
    assert [line for line, _ in done.warned] == [3, 6, 7]


def test_other_calls_stay(stays):
    stays(
        rule,
        """
        class GAN(Base):
            def train_step(self, data, optimizer, loss_scaler=None):
                x = self.disc_loss(loss_scaler=loss_scaler)
                optimizer.update_params(x)
        """,
    )
