from mmamp.migration.code.rules import base_model as rule

STEP = '    def train_step(self, data, optimizer):\n        pass\n'


def test_a_plain_module_is_marked(convert):
    text = f'@MODELS.register_module()\nclass GAN(nn.Module):\n{STEP}'
    done = convert(rule, text)
    assert [line for line, _ in done.todo] == [2]
    mark, rest = done.text.split('\n', 1)
    assert 'mmengine.model.BaseModel' in mark
    assert rest == text


def test_other_classes_stay(stays):
    stays(rule, f'class GAN(BaseGAN):\n{STEP}')
    stays(rule, 'class Net(nn.Module):\n    train_step = None\n')
