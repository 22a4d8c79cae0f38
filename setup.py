"""Package metadata. Imports nothing of the package, and never torch."""

from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent

# What OpenMMLab's tools look for in an installed package. mmamp/.mim holds
# links to the folders of the repository; a wheel has the files. Pictures of
# results, what writes the repository's own pages, and what makes the
# development environment, stay here.
MIM = [
    '.mim/model-index.yml',
    '.mim/configs/**/*.py',
    '.mim/configs/**/*.md',
    '.mim/configs/**/*.yml',
    '.mim/configs/**/*.pth',
    '.mim/tools/*.py',
    '.mim/tools/dist_train.sh',
    '.mim/tools/slurm_train.sh',
    '.mim/tools/dataset_converters/*.py',
]
# Shells over `benchmarks/`.
OF_BENCHMARKS = [
    *('benchmark.py', 'benchmark_autocast.py'),
    *('optimizers.py', 'results.py'),
]


def version() -> str:
    scope: dict = {}
    exec((ROOT / 'mmamp' / 'version.py').read_text(), scope)
    return scope['__version__']


def requirements(name: str) -> list[str]:
    lines = (ROOT / 'requirements' / f'{name}.txt').read_text().splitlines()
    return [x for x in lines if x and not x.startswith(('#', '-'))]


setup(
    name='mmamp',
    version=version(),
    description='Mixed-precision training for OpenMMLab models, GANs first',
    long_description=(ROOT / 'README.md').read_text(),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    license_files=['LICENSE'],
    python_requires='>=3.10',
    packages=find_packages(include=['mmamp', 'mmamp.*']),
    package_data={
        'mmamp': [
            'py.typed',
            *(
                f'{x}/*.{y}'
                for x in ('plan', 'report')
                for y in ('html', 'json')
            ),
            *MIM,
        ]
    },
    exclude_package_data={'mmamp': [f'.mim/tools/{x}' for x in OF_BENCHMARKS]},
    # Neither torch nor mmengine nor mmcv: pip would replace a GPU build, a
    # fork, or the full mmcv that the user has. `import mmamp` says what is
    # missing.
    install_requires=requirements('runtime'),
    extras_require={
        # All that the reference configs need.
        'mm': [*requirements('mm'), *requirements('metrics')],
        'metrics': requirements('metrics'),
        'inception': [*requirements('metrics'), *requirements('inception')],
        'migration': requirements('migration'),
        # Of tools/export.py --format onnx.
        'export': requirements('export'),
        'docs': requirements('docs'),
        # Notebooks of demo/.
        'demo': requirements('demo'),
        # What tools/optimizers.py trains with.
        'optimizers': requirements('optimizers'),
        # What tools/benchmark.py --peers compares with.
        'peers': requirements('peers'),
        'tests': [
            *requirements('metrics'),
            *requirements('migration'),
            *requirements('docs'),
            *requirements('export'),
            *requirements('demo'),
            *requirements('tests'),
        ],
        'all': [
            *requirements('mm'),
            *requirements('metrics'),
            *requirements('migration'),
            *requirements('export'),
            *requirements('optional'),
        ],
    },
    classifiers=[
        'Development Status :: 3 - Alpha',
        'Intended Audience :: Science/Research',
        'Programming Language :: Python :: 3',
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
    ],
)
