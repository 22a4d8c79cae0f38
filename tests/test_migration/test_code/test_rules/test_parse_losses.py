from mmamp.migration.code.rules import parse_losses as rule


def test_it_has_the_name_of_mmengine(becomes):
    becomes(
        rule,
        'loss, log_vars = self._parse_losses(losses)  # both\n',
        'loss, log_vars = self.parse_losses(losses)  # both\n',
    )


def test_one_of_its_own_stays(stays):
    done = stays(
        rule,
        """
        class GAN(nn.Module):
            def _parse_losses(self, losses):
                return losses

            def loss(self, losses):
                return self._parse_losses(losses)
        """,
    )
    assert len(done.findings) == 1


def test_other_objects_stay(stays):
    stays(rule, 'other._parse_losses(x)\n')
