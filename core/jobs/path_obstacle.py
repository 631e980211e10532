"""What is in the way of an edit whose only lane cannot work: said about the files, beside the lanes that can."""

from __future__ import annotations

from dataclasses import replace

from core.jobs.interpretation_context import can_run
from core.jobs.job_context import JobContext
from core.model.decision import Decision, Effect, PolicyRequest
from core.model.errors import Problem
from core.model.intent import Intent
from core.model.lane import Lane
from core.model.task import Task
from core.settings import Settings

_MOST_SHOWN = 4


async def about_the_paths(
    shop: JobContext, settings: Settings, task: Task, intent: Intent, decision: Decision, problem: Problem
) -> Problem:
    """The problem of a lane that policy chose for known edits, told as what it means for their files.

    A problem of anything else is given back as it is: a refusal of policy, a lane that the person named.
    """
    paths = intent.paths()
    if decision.effect is not Effect.ALLOW or not paths or task.asked_lane:
        return problem
    petition = PolicyRequest(
        person=task.current.author, surface=task.surface, repository=task.repo or "", paths=(), deterministic=True
    )
    others = [settings.lanes[name] for name in settings.policy.open_lanes(petition) if name != decision.lane]
    able = [lane for lane in others if await can_run(shop, lane)]
    homeless = [path for path in paths if not any(_takes(settings, petition, lane, path) for lane in able)]
    shown = ", ".join(homeless[:3]) + (" and more" if len(homeless) > 3 else "")
    where = f"{shown} {'is' if len(homeless) == 1 else 'are'} in no lane" if homeless else "All of it is in no one lane"
    return replace(problem, message="; ".join([f"{where} you may use now", *map(_covers, able), problem.message]))


def _takes(settings: Settings, petition: PolicyRequest, lane: Lane, path: str) -> bool:
    asked = replace(petition, paths=(path,), lane=lane.name)
    return settings.policy.decide(asked).effect is Effect.ALLOW


def _covers(lane: Lane) -> str:
    more = len(lane.write) - _MOST_SHOWN
    return f"{lane.name} covers {', '.join(lane.write[:_MOST_SHOWN])}" + (f" and {more} more" if more > 0 else "")
