"""Telegram: groups, topics and private chats, by long polling or webhook.

`surface.TelegramSurface` is the door; this package imports nothing of Telegram's library until that module is.
"""
