"""The diff viewer: what a digest names, line by line from git's blobs, divided into parts."""
