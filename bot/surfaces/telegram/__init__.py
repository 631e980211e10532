"""Telegram: groups, topics and private chats, by long polling or webhook.

Use `surface.TelegramSurface`. Importing this package does not import Telegram's library.
"""
