"""The steps of each kind of job, in the order in which they run."""

from __future__ import annotations

from typing import Final

from core.jobs import change, follow, merge, plan, publish, read
from core.jobs.job_context import JobStep
from core.model.job import JobKind

STEPS: Final[dict[JobKind, tuple[tuple[str, JobStep], ...]]] = {
    JobKind.PLAN: plan.STEPS,
    JobKind.READ: read.STEPS,
    JobKind.CHANGE: change.STEPS,
    JobKind.PUBLISH: publish.STEPS,
    JobKind.MERGE: merge.MERGE_STEPS,
    JobKind.CLOSE: merge.CLOSE_STEPS,
    JobKind.FOLLOW: follow.STEPS,
}
