"""What a README says of its configs, for tools: OpenMMLab's ``metafile.yml``.

The README's tables are what was measured; the metafile repeats them.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

_TITLE = re.compile(r'"\[(?P<title>[^]]+)\]\((?P<url>[^)]+)\),?"')
_CONFIG = re.compile(r'\[(?P<name>[^]]+\.py)\]')
_RESULTS = re.compile(r'## Results of (?P<config>\S+)\n\n(?P<table>(\|.*\n)+)')
_NOT_METRICS = (
    'precision',
    'seeds',
    'ms an iteration',
    'time / float32',
    'peak memory, MiB',
)


def metafile(readme: Path) -> str:
    """Make the metafile that goes with a README.

    Args:
        readme (Path): In the folder of an algorithm's configs: its name as
            the heading, the paper's title as a link, a table of configs with
            their ``data``, and the tables that ``tools/results.py`` writes.

    Returns:
        str: YAML.
    """
    text = readme.read_text()
    name = text.partition('\n')[0].removeprefix('# ')
    folder = f'configs/{readme.parent.name}'
    collection: dict[str, Any] = dict(Name=name, README=f'{folder}/README.md')
    if paper := _TITLE.search(text):
        title = ' '.join(paper['title'].split())
        collection['Paper'] = dict(Title=title, URL=paper['url'])
    data = dict(_data_of_configs(text))
    models = [
        _model(name, folder, found['config'], data, row)
        for found in _RESULTS.finditer(text)
        for row in _rows(found['table'])
        if row['ms an iteration']
    ]
    metafile: str = yaml.safe_dump(
        dict(Collections=[collection], Models=models),
        sort_keys=False,
        allow_unicode=True,
    )
    return metafile


def write_metafile(folder: Path) -> Path:
    """Write the metafile of a folder of configs.

    Args:
        folder (Path): With a README.

    Returns:
        Path: Of the metafile.
    """
    path = folder / 'metafile.yml'
    path.write_text(metafile(folder / 'README.md'))
    return path


def _rows(table: str) -> Iterator[dict[str, str]]:
    """Yield the rows of a Markdown table, by column."""
    lines = [
        [cell.strip() for cell in line.strip('|').split('|')]
        for line in table.splitlines()
    ]
    head, _, *rows = lines
    for row in rows:
        yield dict(zip(head, row, strict=True))


def _data_of_configs(text: str) -> Iterator[tuple[str, str]]:
    for table in re.findall(r'(?:^\|.*\n)+', text, re.MULTILINE):
        for row in _rows(table):
            if config := _CONFIG.match(row.get('config', '')):
                yield config['name'], row['data']


def _model(
    collection: str,
    folder: str,
    config: str,
    data_of: dict[str, str],
    row: dict[str, str],
) -> dict[str, Any]:
    """Describe one config in one precision, by the mean over its seeds."""
    data = data_of.get(config, 'see the README')
    precision, _, shortened = row['precision'].partition(' ')
    metadata = {
        'Training Data': data,
        'Precision': precision,
        'Seeds': row['seeds'],
        'Milliseconds an Iteration': float(row['ms an iteration']),
    }
    if shortened:
        metadata['Iterations'] = int(shortened.strip('()').split()[0])
    metrics = {
        key: float(value.split()[0])
        for key, value in row.items()
        if key not in _NOT_METRICS
    }
    name = config.removesuffix('.py')
    return {
        # That of the config is its own: in float32, as it stands.
        'Name': name if precision == 'float32' else f'{name}_{precision}',
        'In Collection': collection,
        'Config': f'{folder}/{config}',
        # MIM downloads no config without them. None are published: this is
        # the folder that training puts them into, and the slash at its end
        # leaves MIM no file to fetch.
        'Weights': f'work_dirs/{name}/',
        'Metadata': metadata,
        'Results': [
            {
                'Task': 'Image Generation',
                'Dataset': data,
                'Metrics': metrics,
            }
        ],
    }
