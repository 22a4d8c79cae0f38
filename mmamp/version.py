"""The one place that holds mmamp's version."""

__version__ = '0.1.0'
