"""The terminal: cards, lists and checks on a text stream, coloured on a terminal and plain in a pipe.

Importing this package does not import rich; each function does when it draws.
"""

from bot.surfaces.terminal.card import print_card, print_diff
from bot.surfaces.terminal.checks import print_checks, print_counts, print_explained
from bot.surfaces.terminal.profile import TerminalProfile, detect_profile
from bot.surfaces.terminal.progress import TaskProgress
from bot.surfaces.terminal.queue import print_queue
from bot.surfaces.terminal.tables import print_events, print_list

__all__ = [
    "TaskProgress",
    "TerminalProfile",
    "detect_profile",
    "print_card",
    "print_checks",
    "print_counts",
    "print_diff",
    "print_events",
    "print_explained",
    "print_list",
    "print_queue",
]
