"""The conversation: what people's words and clicks mean here, the same on every surface."""
