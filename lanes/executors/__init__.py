"""How a lane makes a change: one module per way."""
