"""Safe work on folder trees whose shape others decide: every folder is opened by descriptor and no link is followed.

A repository, an agent or a sandboxed program decides what such a tree holds: links to anywhere, paths longer than the
system allows, folders without permissions, a link where a folder was a moment ago. Therefore this package passes only
one component of a path at a time to the system, and opens every folder with ``O_NOFOLLOW``. The depth of a tree costs
neither stack frames nor descriptors. All code in `lanes` that recurses into a tree uses this package.
"""
