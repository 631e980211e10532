"""Operations: creating, checking, backing up and verifying a home."""
