"""Which package has an optimizer that no registry has."""

from importlib import import_module
from importlib.util import find_spec

from .suggest import did_you_mean

_PACKAGES = {
    'adam_mini': ('adam-mini', 'Adam_mini'),
    'bitsandbytes.optim': (
        'bitsandbytes',
        'AdEMAMix8bit Adagrad8bit Adam8bit AdamW8bit LAMB8bit LARS8bit '
        'Lion8bit PagedAdam8bit PagedAdamW8bit PagedLion8bit RMSprop8bit '
        'SGD8bit',
    ),
    'came_pytorch': ('came-pytorch', 'CAME'),
    'dadaptation': (
        'dadaptation',
        'DAdaptAdaGrad DAdaptAdam DAdaptAdan DAdaptLion DAdaptSGD',
    ),
    'galore_torch': (
        'galore-torch',
        'GaLoreAdafactor GaLoreAdamW GaLoreAdamW8bit',
    ),
    'heavyball': (
        'heavyball',
        'HeavySOAP LATHER MuonAdamW PSGDKron PSGDLRA PSGDPRO SAMWrapper '
        'SFAdamW SOAP SOLP',
    ),
    'lion_pytorch': ('lion-pytorch', 'Lion'),
    'madgrad': ('madgrad', 'MADGRAD MirrorMADGRAD'),
    'prodigyopt': ('prodigyopt', 'Prodigy'),
    'pytorch_optimizer': (
        'pytorch-optimizer',
        'A2Grad ADOPT AdEMAMix AdaBelief AdaBound AdaGO AdaHessian AdaLOMO '
        'AdaMod AdaMuon AdaNorm AdaPNM AdaShift AdaSmooth Adai Adalite '
        'AdamMini AdamP AdamS Adan AggMo AliG Amos AvaGrad CAME Conda DASH '
        'DiffGrad EXAdam FTRL FriendlySAM Fromage GSAM GaLore Grams '
        'GrokFastAdamW Kate Kron LARS LOMO LaProp Lamb Lion Lookahead '
        'LookSAM MADGRAD MARS MSVAG Nero NorMuon NovoGrad PNM PID QHAdam QHM '
        'RACS Ranger Ranger21 SAM SCION SGDP SM3 SOAP SPAM SWATS '
        'ScalableShampoo ScheduleFreeAdamW ScheduleFreeSGD Shampoo SignSGD '
        'SophiaH StableAdamW StableSPAM TRAC Tiger WSAM Yogi',
    ),
    'schedulefree': (
        'schedulefree',
        'AdamWScheduleFree RAdamScheduleFree SGDScheduleFree',
    ),
    'torchao.optim': (
        'torchao',
        'Adam4bit Adam8bit AdamFp8 AdamW4bit AdamW8bit AdamWFp8',
    ),
}
"""By what is imported: what pip installs, and optimizers that it has."""


def package_of(name: str) -> str:
    """Say how an optimizer is had that is in no registry.

    Args:
        name (str): The type in the config: a class's name, or where it is
            imported from.

    Returns:
        str: Such as ``" Prodigy is in prodigyopt: `pip install prodigyopt`,
        then type='prodigyopt.Prodigy'."``, or nothing.
    """
    module, _, cls = name.rpartition('.')
    if module:
        return _of_path(module, cls)
    found = [
        f'{cls} is in {pip}: {_install(module, pip)}type={f"{module}.{cls}"!r}'
        for module, (pip, classes) in _PACKAGES.items()
        for cls in classes.split()
        if _plain(cls) == _plain(name)
    ]
    return ''.join(f' {text}.' for text in found)


def _of_path(module: str, cls: str) -> str:
    package = module.partition('.')[0]
    try:
        has = import_module(module)
    except ImportError as error:
        if error.name != package:
            return f' {module} cannot be imported: {error}.'
        known = (x for x in _PACKAGES if x.partition('.')[0] == package)
        pip = next((_PACKAGES[x][0] for x in known), None)
        how = f': `pip install {pip}`' if pip else ''
        return f' {package} is not installed{how}.'
    return did_you_mean(cls, [x for x in dir(has) if x[0] != '_'])


def _install(module: str, pip: str) -> str:
    is_there = find_spec(module.partition('.')[0]) is not None
    return '' if is_there else f'`pip install {pip}`, then '


def _plain(name: str) -> str:
    return name.replace('_', '').lower()
