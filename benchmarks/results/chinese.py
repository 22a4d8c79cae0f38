"""Results in Chinese: tables, commands and numbers stay, sentences change."""

import re

_SENTENCES = {
    r'## Results of (\S+)': r'## \1 的结果',
    r'The last validation of each run: mean and standard deviation over '
    r'seeds\. Times of (\d+) rounds in which precisions take turns\. '
    r'Memory is that of the accelerator, on a CPU of the whole process\. '
    r'On (.+)\. Made by': (
        r'指标取自每次训练的最后一次验证，为各随机种子的均值和标准差。'
        r'各精度轮流计时，共 \1 轮。'
        r'内存是加速器的显存，在 CPU 上是整个进程的内存。'
        r'运行环境：\2。生成命令：'
    ),
    r'In bfloat16, seed (\d+):': r'bfloat16，随机种子 \1：',
    r'!\[samples of (\S+)\]\((.+)\)': r'![\1 的样本](\2)',
    r'From latents to others and back, its average:': (
        r'在隐变量之间插值，首尾相接，由其滑动平均生成：'
    ),
    r'!\[interpolation of (\S+)\]\((.+)\)': r'![\1 的插值](\2)',
}
"""What :func:`.tables.report` writes, line by line."""


def in_chinese(text: str) -> str:
    """Translate a section of results.

    Args:
        text (str): Markdown, as :func:`.tables.report` writes it.

    Returns:
        str: The same in Chinese.

    Raises:
        ValueError: If a line is not one of those known here.
    """
    parts = text.split('```')
    # Every second one is in a fence.
    parts[::2] = [
        '\n'.join(map(_translated, part.split('\n'))) for part in parts[::2]
    ]
    return '```'.join(parts)


def _translated(line: str) -> str:
    if not line or line.startswith('|'):
        return line
    for pattern, chinese in _SENTENCES.items():
        if found := re.fullmatch(pattern, line):
            return found.expand(chinese)
    raise ValueError(
        f'the results say {line!r}, which has no translation in '
        'benchmarks/results/chinese.py'
    )
