"""Judges a program's run by the deadline, the broker's record and the program's own events.

Exit codes are not used, because they are not reliable (see each adapter).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from core.model.advice import Advice, CommandName, Suggestion, advise
from core.model.budget_question import BudgetSpentError
from core.model.change import show_path
from core.model.errors import CountersignError, PermanentError, TransientError, WorkError
from core.model.lane import Lane
from lanes.agent_clis.adapter import AgentReport
from lanes.egress import UsageAccount
from lanes.sandbox import SandboxResult

_RETRY_AFTER_S: Final = 60.0
_MAX_CHARS: Final = 300
_SEE_TRANSCRIPT: Final = advise(
    "Its output is in ",
    Suggestion(CommandName.TRANSCRIPT),
    ".",
    otherwise="Your operator can read its output in the transcript.",
)
_LIMITS: Final = {
    "memory": ("memory_limit", "used more than {memory_mib} MiB", "Raise `memory_mib` in the lane's limits."),
    "processes": (
        "process_limit",
        "started more than {processes} processes",
        "Raise `processes` in the lane's limits.",
    ),
    "cpu": ("cpu_limit", "used more CPU time than the lane allows", "Ask for a smaller change."),
    "disk": ("disk_limit", "wrote more to disk than the lane allows", "Ask for a smaller change."),
    "files": ("disk_limit", "created more files than the lane allows", "Ask for a smaller change."),
}


@dataclass(frozen=True, slots=True)
class AgentOutcome:
    """Everything known about one run; `result` is None when it was stopped because its account closed.

    `report` and the `artifacts`, of which `transcript_name` names one, contain no key.
    """

    name: str
    lane: Lane
    result: SandboxResult | None
    report: AgentReport
    account: UsageAccount
    artifacts: Mapping[str, bytes]
    transcript_name: str

    def error(self) -> CountersignError | None:
        """The error when the program did not do its work, None when it did; checked before its tree is imported."""
        account = self.account
        if account.fault is not None:
            problem = account.fault.problem
            if isinstance(account.fault, PermanentError):
                return WorkError(problem.code, problem.message, problem.mend, artifacts=self.artifacts)
            return account.fault
        if account.exceeded is not None:
            message = f"{self._subject()} spent {account.exceeded.amounts}"
            mend = f"Ask for a smaller change, or raise `{account.exceeded.key}` in the lane's budget."
            return BudgetSpentError(message, account.exceeded, mend, starts_again=True, artifacts=self.artifacts)
        if account.repeated:
            message = f"The model of lane {self.lane.name} {_one_line(account.repeated)}"
            mend = "Say more precisely what to change, or name another model in the lane."
            return self._work_error("model_in_circles", message, mend)
        if self.result is not None and self.result.limit_hit in _LIMITS:
            code, template, mend = _LIMITS[self.result.limit_hit]
            limits = self.lane.limits
            exceeded = template.format(memory_mib=limits.memory_mib, processes=limits.processes)
            return self._work_error(code, f"{self._subject()} {exceeded}", mend)
        if self.result is not None and self.result.timed_out:
            return self._deadline_error()
        if self.report.succeeded and self.result is not None:
            return None
        return self._endpoint_error() or self._program_error()

    def denied_error(self) -> CountersignError | None:
        """The error when nothing changed because the program was not allowed to use a tool; None otherwise."""
        if not self.report.denied_tools:
            return None
        tools = ", ".join(sorted({_one_line(tool)[:40] for tool in self.report.denied_tools}))
        message = f"{self._subject()} changed nothing: it was not allowed to use {tools}"
        return self._work_error("agent_denied", message, "Ask for a change of files only, or choose another lane.")

    def _endpoint_error(self) -> CountersignError | None:
        """The error if the endpoint caused the failure."""
        account = self.account
        if account.down:
            message = f"The model of lane {self.lane.name} does not answer: {_one_line(account.down)}"
            mend = "Check the endpoint. The work starts again when it answers."
            return TransientError("model_down", message, mend, retry_after_s=_RETRY_AFTER_S)
        if account.refused:
            message = f"The model of lane {self.lane.name} refused the request: {_one_line(account.refused)}"
            return self._work_error("model_refused", message, "Check the endpoint's key and the model's name.")
        return None

    def _deadline_error(self) -> CountersignError:
        """The error for the lane's deadline, whatever the endpoint did until then."""
        message = f"{self._subject()} did not finish within {self.lane.limits.wall_s} s"
        mend = "Raise `wall_s` in the lane's limits, or ask for a smaller change."
        if self.account.unanswered:
            message += "; its model had not answered the last request by then"
            mend = "Check whether its endpoint is slow or stuck, or raise `wall_s` in the lane's limits."
        elif self.account.failing:
            message += f"; its model's last request failed: {_one_line(self.account.failing)}"
        return self._work_error("timed_out", message, mend)

    def _program_error(self) -> CountersignError | None:
        """The error if the program itself failed; if it does not report success, the broker's record decides."""
        account = self.account
        if self.report.succeeded is None and self.result is not None and account.usage.calls and not account.failing:
            return None
        reason = _one_line(self.report.error or account.failing)
        if not reason:
            reason = _one_line(self.artifacts[self.transcript_name][-_MAX_CHARS:].decode("utf-8", "replace").strip())
        message = f"{self._subject()} failed{f': {reason}' if reason else ''}"
        return self._work_error("agent_failed", message, _SEE_TRANSCRIPT)

    def _subject(self) -> str:
        return f"{self.name} of lane {self.lane.name}"

    def _work_error(self, code: str, message: str, mend: str | Advice) -> WorkError:
        return WorkError(code, message, mend, artifacts=self.artifacts)


def _one_line(text: str) -> str:
    """Untrusted text in one line, with unusual characters escaped."""
    return show_path(" ".join(text.split()).encode("utf-8", "replace"))[:_MAX_CHARS]
