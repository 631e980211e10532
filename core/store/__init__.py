"""What is remembered: SQLModel tables on SQLite or PostgreSQL, and every statement that touches them."""
