"""The hands of Countersign: executors, the sandbox, git, and forges."""
