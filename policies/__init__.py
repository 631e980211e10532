"""Policy: decides which requests are allowed, checks what a change may contain, and says who must approve it."""
