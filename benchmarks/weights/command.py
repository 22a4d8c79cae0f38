"""The command."""


def main() -> int:
    """Compare."""
    return 0
