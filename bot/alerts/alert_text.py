"""What operators read of objectives and alerts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from bot.alerts.certificates import CertificateEnd
from bot.cards.safe import one_line
from bot.cards.times import duration
from core.model.objective import AlertKind, Objective, ObjectiveResult, Subject
from core.services.alerts import Alert, Situation, StalledQueue

QUEUE: Final = "queue"
OVER: Final[Mapping[str, str]] = {
    AlertKind.QUEUE_STALLED.value: "The queue works again.",
    AlertKind.ENDPOINT_LOST.value: "The endpoint {name} answers again.",
    AlertKind.BUDGET_BURNT.value: "The objective {name} is met again, or was removed.",
    AlertKind.TOKEN_ENDS.value: "The API token {name} ended, or was revoked or replaced.",
    AlertKind.CERTIFICATE_ENDS.value: "The certificate {name} is not near its end any more.",
}
"""What people read when an alert is over, by its kind."""
_GOOD: Final = {
    Subject.WAIT: "of the jobs waited no longer than {within}",
    Subject.RUN: "of the jobs ran no longer than {within}",
    Subject.DECISION: "of the verdicts came within {within}",
    Subject.SUCCESS: "of the requests ended with a staged diff",
    Subject.ENDPOINT: "of the looks found the endpoint up",
}


def goal_words(objective: Objective) -> str:
    """What an objective asks for, such as ``95% of the jobs waited no longer than 1 min in 7 days (telegram)``."""
    good = _GOOD[objective.subject].format(within=duration(objective.within_s or 0))
    about = f" ({', '.join(sorted(objective.names))})" if objective.names else ""
    return one_line(f"{percent(objective.share)} {good} in {duration(objective.window_s)}{about}", 200)


def missed_sentence(result: ObjectiveResult) -> str:
    """Why an objective is missed."""
    share, objective = result.window.share, result.objective
    assert share is not None
    good = _GOOD[objective.subject].format(within=duration(objective.within_s or 0))
    about = f" ({', '.join(sorted(objective.names))})" if objective.names else ""
    sentence = f"{objective.name}: {measured(share)} {good} in {duration(objective.window_s)}{about}"
    sentence += f", and {percent(objective.share)} should; {result.window.all - result.window.good:,} of "
    sentence += f"{result.window.all:,} did not, which is {result.burn_rate:.1f} times the error budget"
    if result.quantile_s is not None:
        sentence += f"; {percent(objective.share)} took at most {duration(result.quantile_s)}"
    return f"{one_line(sentence, 500)}."


def measured(share: float) -> str:
    """A measured share in percent; one that is below 100% never reads as 100%."""
    return f"{math.floor(10_000 * share + 1e-6) / 100:g}%"


def budget_text(burn_rate: float) -> str:
    """How much of an error budget is left, or how often it was used."""
    left = 1 - burn_rate
    return f"{left:.0%}" if left > -0.005 else f"used {burn_rate:.1f} times"


def percent(share: float) -> str:
    """A share in percent, with as many digits as tell it from the next one: ``95%``, ``99.95%``."""
    text = f"{100 * share:.3f}".rstrip("0").rstrip(".")
    return f"{text}%"


def alerts_of(
    situation: Situation, results: Iterable[ObjectiveResult], certificates: Iterable[CertificateEnd], soon: datetime
) -> list[Alert]:
    """The alerts that last now; certificates that end before `soon` are near their end."""
    alerts = [_stalled(situation.stalled)] if situation.stalled is not None else []
    alerts += [_lost(name, problem) for name, problem in sorted(situation.lost.items())]
    alerts += [_burnt(result) for result in results if not result.is_met or result.burns_fast]
    alerts += [_token(*each) for each in situation.tokens]
    alerts += [_certificate(each) for each in certificates if each.ends_at is None or each.ends_at <= soon]
    return alerts


def _stalled(queue: StalledQueue) -> Alert:
    jobs = f"{queue.ready:,} job{' is' if queue.ready == 1 else 's are'} ready and none runs"
    alive = f"{queue.workers} worker{' is' if queue.workers == 1 else 's are'} alive"
    workers = alive if queue.workers else "no worker is alive"
    mend = "The queue says why each job waits" if queue.workers else "Start a worker on a host of this home"
    sentence = f"The queue stands still: {jobs}, the oldest for {duration(queue.oldest_s)}; {workers}. {mend}."
    return Alert(AlertKind.QUEUE_STALLED.value, QUEUE, sentence)


def _lost(name: str, problem: str) -> Alert:
    problem = one_line(problem, 300).rstrip(".")
    sentence = f"The endpoint {name} is lost: {problem}. Work waits for it or goes elsewhere."
    return Alert(AlertKind.ENDPOINT_LOST.value, name, sentence)


def _burnt(result: ObjectiveResult) -> Alert:
    if not result.is_met:
        sentence = f"An objective is missed. {missed_sentence(result)}"
    else:
        hour = result.last_hour
        sentence = (
            f"The error budget of {result.objective.name} burns fast: {hour.all - hour.good:,} of {hour.all:,} were not"
            f" good in the last hour. It is: {goal_words(result.objective)}."
        )
    return Alert(AlertKind.BUDGET_BURNT.value, result.objective.name, sentence)


def _token(id_: str, name: str, person: str, days: int) -> Alert:
    left = f"in {days} day{'' if days == 1 else 's'}" if days else "within a day"
    token = f"{one_line(name, 60)} ({id_}) of {person}"
    sentence = f"The API token {token} ends {left}. Create another one with `countersign tokens create`."
    return Alert(AlertKind.TOKEN_ENDS.value, id_, sentence)


def _certificate(each: CertificateEnd) -> Alert:
    name = each.path.name
    if each.ends_at is None:
        sentence = f"The certificate {name} cannot be checked: {each.problem}."
        sentence += " Correct `certificates` in objectives.yaml."
    else:
        sentence = f"The certificate {name} ends at {each.ends_at:%Y-%m-%d %H:%M} UTC. Renew it."
    return Alert(AlertKind.CERTIFICATE_ENDS.value, name, one_line(sentence, 400))
