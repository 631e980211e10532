"""Plugins: what other distributions add to an installation, by entry point, each enabled by name in countersign.yaml.

A plugin that is installed and not enabled is never imported. One that is enabled runs in Countersign's own process and
with its rights: nothing here confines it. Importing this package imports no plugin.
"""

from bot.plugins.context import PluginContext
from bot.plugins.find import KINDS
from bot.plugins.ports import ExtraGuard, Notifier

__all__ = ["KINDS", "ExtraGuard", "Notifier", "PluginContext"]
