"""Plugins: extensions from other distributions, found by entry point and enabled by name in countersign.yaml.

A plugin that is installed but not enabled is never imported. An enabled plugin runs in Countersign's own process with
its rights: nothing here confines it. Importing this package imports no plugin.
"""

from bot.plugins.find import KINDS
from bot.plugins.ports import ExtraGuard, Notifier, PluginContext

__all__ = ["KINDS", "ExtraGuard", "Notifier", "PluginContext"]
