from mmamp.migration.code.rules import step_return as rule

HEAD = """
class GAN(Base):
    def train_step(self, data, optimizer):
"""


def step(*lines: str) -> str:
    return HEAD + ''.join(f'        {line}\n' for line in lines)


def test_what_is_logged_is_returned(becomes):
    becomes(
        rule,
        step(
            'if x:',
            '    results = dict(fake=fake.cpu())',
            '    outputs = dict(',
            '        log_vars=log_vars_d,  # of the discriminator',
            '        num_samples=len(fake),',
            '        results=results)',
            '    self.n += 1',
            '    return outputs',
            'results = dict(fake=fake.cpu(), real=real.detach().cpu())',
            "results['x'] = fake.cpu()",
            'outputs = dict(log_vars=log_vars, num_samples=8,',
            '               results=results)',
            'return outputs',
        ),
        step(
            'if x:',
            '    # of the discriminator',
            '    self.n += 1',
            '    return log_vars_d',
            'return log_vars',
        ),
    )


def test_an_update_of_outputs(becomes):
    becomes(
        rule,
        step(
            'outputs = self(**data)',
            "outputs.update({'log_vars': log_vars})",
            'return outputs',
        ),
        step('outputs = self(**data)', 'return log_vars'),
    )


def test_a_dict_that_is_returned_at_once(becomes):
    becomes(
        rule,
        step("return {'log_vars': logs, 'num_samples': 3}"),
        step('return logs'),
    )


def test_outputs_of_several_branches(becomes):
    becomes(
        rule,
        step(
            'logs = {}',
            'if x:',
            '    logs.update(self.f())',
            '    outputs = dict(log_vars=logs, num_samples=1)',
            'else:',
            '    outputs = dict(log_vars=logs, num_samples=2)',
            'return outputs',
        ),
        step(
            'logs = {}',
            'if x:',
            '    logs.update(self.f())',
            'else:',
            '    pass',
            'return logs',
        ),
    )


def test_what_a_hook_did_is_done_here(becomes):
    becomes(
        rule,
        step(
            'losses = self(**data)',
            'loss, log_vars = self._parse_losses(losses)',
            'outputs = dict(loss=loss, log_vars=log_vars, num_samples=2)',
            'return outputs',
        ),
        step(
            'losses = self(**data)',
            'loss, log_vars = self._parse_losses(losses)',
            'optimizer.update_params(loss)',
            'return log_vars',
        ),
    )


def test_what_is_not_understood_is_marked(convert):
    for lines in (
        ['return self.finish(data)'],
        ['outputs = dict(log_vars=x, results=self.paint())', 'return outputs'],
        ['outputs = dict(log_vars=x, more=1)', 'return outputs'],
    ):
        done = convert(rule, step(*lines))
        assert [line for line, _ in done.todo] == [2 + len(lines)]


def test_the_parents_step_is_handed_on(stays):
    stays(rule, step('return super().train_step(data, optimizer)'))
    stays(rule, step('x = super().train_step(data, optimizer)', 'return x'))


def test_changes_of_what_the_parent_returned_are_marked(convert):
    done = convert(
        rule,
        step(
            'x = super().train_step(data, optimizer)',
            "x['log_vars']['y'] = 1",
            'return x',
        ),
    )
    assert [line for line, _ in done.todo] == [5]
