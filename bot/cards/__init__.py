"""Cards: what people are shown of a task, worked out once for every surface; pure."""
