"""Editing of configs: nothing here imports torch or the rest of mmamp."""

from .amp import AmpChange, Precision, amp_report, enable_amp

__all__ = ['AmpChange', 'Precision', 'amp_report', 'enable_amp']
