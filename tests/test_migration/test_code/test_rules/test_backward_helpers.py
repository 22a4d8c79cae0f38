from mmamp.migration.code.rules import backward_helpers as rule

STEP = """
    def train_step(self, data, optimizer):
        # optimize
        optimizer['disc'].zero_grad()
        logs = self.backward_disc(data)
        optimizer['disc'].step()
        return logs
"""


def test_the_method_updates(becomes):
    done = becomes(
        rule,
        f"""
class GAN(Base):
    def backward_disc(self, data):
        loss, logs = self.parse_losses(self.disc(data))
        loss.backward()
        return logs
{STEP}""",
        """
class GAN(Base):
    def backward_disc(self, data, optim_wrapper):
        with optim_wrapper.optim_context(self.disc):
            loss, logs = self.parse_losses(self.disc(data))
        optim_wrapper.update_params(loss)
        return logs

    def train_step(self, data, optimizer):
        # optimize
        logs = self.backward_disc(data, optim_wrapper=optimizer['disc'])
        return logs
""",
    )
    assert [line for line, _ in done.warned] == [2]


def test_two_backward_passes_are_one_update(convert):
    done = convert(
        rule,
        f"""
class GAN(Base):
    def backward_disc(self, data):
        a = self.disc_a(data)
        a.backward()
        b = self.disc_b(data)
        b.backward()
        return a
{STEP}""",
    )
    assert 'total_loss = a\n' in done.text
    assert 'optim_wrapper.update_params(total_loss + b)\n' in done.text
    assert 'backward()' not in done.text


def test_a_method_that_others_call_stays(stays):
    stays(
        rule,
        f"""
class GAN(Base):
    def backward_disc(self, data):
        self.disc(data).backward()

    def other(self, data):
        self.backward_disc(data)
{STEP}""",
    )


def test_a_method_of_another_file_stays(stays):
    stays(rule, f'class GAN(Base):\n{STEP}')
