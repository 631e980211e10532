"""Conversations: how messages and button presses become commands, and how cards and notes are delivered."""
