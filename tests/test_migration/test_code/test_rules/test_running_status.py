from mmamp.migration.code.rules import running_status as rule


def test_the_message_hub_has_the_iteration(becomes):
    becomes(
        rule,
        """
        import torch

        class GAN(Base):
            def train_step(self, data, optimizer, running_status=None):
                # get running status
                if running_status is not None:
                    i = running_status['iteration']
                else:
                    # by itself
                    if not hasattr(self, 'iteration'):
                        self.iteration = 0
                    i = self.iteration
                if i % 2:
                    if hasattr(self, 'iteration'):
                        self.iteration += 1
                    return i
                if hasattr(self, 'iteration'):
                    self.iteration += 1
                return i
        """,
        """
        import torch
        from mmengine.logging import MessageHub

        class GAN(Base):
            def train_step(self, data, optimizer, running_status=None):
                # get running status
                # by itself
                i = MessageHub.get_current_instance().get_info('iter')
                if i % 2:
                    return i
                return i
        """,
    )


def test_a_counter_that_has_other_uses_stays(convert):
    done = convert(
        rule,
        """
        class GAN(Base):
            def train_step(self, data, optimizer, running_status):
                i = running_status['iteration']
                if hasattr(self, 'iteration'):
                    self.iteration += 1

            def show(self):
                return self.iteration
        """,
    )
    assert (
        "i = MessageHub.get_current_instance().get_info('iter')" in done.text
    )
    assert 'self.iteration += 1' in done.text


def test_other_keys_stay(stays):
    stays(
        rule,
        """
        class GAN(Base):
            def train_step(self, data, optimizer, running_status):
                n = running_status['batch_size']
        """,
    )
