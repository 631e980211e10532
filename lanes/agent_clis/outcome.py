"""How a program's run came out, by what proves it: the tree, its own events, the deadline, and what the broker saw.

Never by its exit code, which lies (see each program's file).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from core.model.advice import Advice, CommandName, Suggestion, advise
from core.model.change import show_path
from core.model.errors import CountersignError, PermanentError, TransientError, WorkError
from core.model.lane import Lane
from lanes.agent_clis.cli import AgentEvent
from lanes.egress import UsageAccount
from lanes.sandbox import SandboxResult

_DOWN_S: Final = 60.0
_MOST_SAID: Final = 300
_WORDS: Final = advise(
    "Its words are in ",
    Suggestion(CommandName.TRANSCRIPT),
    ".",
    otherwise="Whoever runs Countersign can read its words in the transcript.",
)
_LIMITS: Final = {
    "memory": ("memory_limit", "used more than {memory_mib} MiB", "Raise `memory_mib` in the lane's limits."),
    "processes": (
        "process_limit",
        "started more than {processes} processes",
        "Raise `processes` in the lane's limits.",
    ),
    "cpu": ("cpu_limit", "used more CPU time than a lane may", "Ask for less at once."),
    "disk": ("disk_limit", "wrote more than a lane may", "Ask for less at once."),
    "files": ("disk_limit", "made more files than a lane may", "Ask for less at once."),
}


@dataclass(frozen=True, slots=True)
class AgentOutcome:
    """All that is known of one run: `ran` is None when it was stopped because its account was closed.

    `heard` and the `artifacts`, the one called `transcript` among them, hold no key.
    """

    name: str
    lane: Lane
    ran: SandboxResult | None
    heard: AgentEvent
    account: UsageAccount
    artifacts: Mapping[str, bytes]
    transcript: str

    def problem(self) -> CountersignError | None:
        """What to tell when the program did not do its work; before its tree is looked at."""
        account = self.account
        if account.fault is not None:
            told = account.fault.problem
            if isinstance(account.fault, PermanentError):
                return WorkError(told.code, told.message, told.mend, artifacts=self.artifacts)
            return account.fault
        if account.exceeded is not None:
            message = f"{self._who()} spent {account.exceeded.amounts}"
            mend = f"Ask for less at once, or raise `{account.exceeded.key}` in the lane's budget."
            return self._failed("budget_spent", message, mend)
        if account.repeated:
            message = f"The model of lane {self.lane.name} {_shown(account.repeated)}"
            mend = "Say more exactly what to change, or name another model in the lane."
            return self._failed("model_in_circles", message, mend)
        if self.ran is not None and self.ran.limit_hit in _LIMITS:
            code, what, mend = _LIMITS[self.ran.limit_hit]
            limits = self.lane.limits
            said = what.format(memory_mib=limits.memory_mib, processes=limits.processes)
            return self._failed(code, f"{self._who()} {said}", mend)
        if self.ran is not None and self.ran.timed_out:
            return self._timed_out()
        if self.heard.ended and self.ran is not None:
            return None
        return self._endpoint() or self._own()

    def denied(self) -> CountersignError | None:
        """What to tell when nothing changed because the program was not let do it."""
        if not self.heard.denied:
            return None
        tools = ", ".join(sorted({_shown(tool)[:40] for tool in self.heard.denied}))
        message = f"{self._who()} changed nothing: it was not allowed to use {tools}"
        return self._failed("agent_denied", message, "Ask for what files alone can do, or choose another lane.")

    def _endpoint(self) -> CountersignError | None:
        """What the endpoint has to do with it."""
        account = self.account
        if account.down:
            message = f"The model of lane {self.lane.name} does not answer: {_shown(account.down)}"
            mend = "Look at the endpoint; the work begins again when it answers."
            return TransientError("model_down", message, mend, retry_after_s=_DOWN_S)
        if account.refused:
            message = f"The model of lane {self.lane.name} refuses: {_shown(account.refused)}"
            return self._failed("model_refused", message, "Look at the endpoint's key and the model's name.")
        return None

    def _timed_out(self) -> CountersignError:
        """The lane's deadline struck: that ends the work, whatever the endpoint did until then."""
        message = f"{self._who()} was not done after {self.lane.limits.wall_s} s"
        mend = "Raise `wall_s` in the lane's limits, or ask for less."
        if self.account.unanswered:
            message += "; its model had not answered the last question by then"
            mend = "Look whether its endpoint is slow or stuck; or raise `wall_s` in the lane's limits."
        elif self.account.failing:
            message += f"; its model failed last: {_shown(self.account.failing)}"
        return self._failed("timed_out", message, mend)

    def _own(self) -> CountersignError | None:
        """What the program itself has to do with it; a program that says nothing of its end is judged by the broker."""
        account = self.account
        if self.heard.ended is None and self.ran is not None and account.usage.calls and not account.failing:
            return None
        why = _shown(self.heard.why or account.failing)
        if not why:
            why = _shown(self.artifacts[self.transcript][-_MOST_SAID:].decode("utf-8", "replace").strip())
        message = f"{self._who()} did not come to a good end{f': {why}' if why else ''}"
        return self._failed("agent_failed", message, _WORDS)

    def _who(self) -> str:
        return f"{self.name} of lane {self.lane.name}"

    def _failed(self, code: str, message: str, mend: str | Advice) -> WorkError:
        return WorkError(code, message, mend, artifacts=self.artifacts)


def _shown(text: str) -> str:
    """Somebody else's words in one line, with every odd character visible."""
    return show_path(" ".join(text.split()).encode("utf-8", "replace"))[:_MOST_SAID]
