"""The services of tasks and of the people who decide on them, built on first use."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from bot.wiring.home_parts import HomeParts

if TYPE_CHECKING:
    from bot.identity_providers.registry import IdentityProviders
    from core.services.access_overview import AccessOverview
    from core.services.accounts import Accounts
    from core.services.api_responses import ApiResponses
    from core.services.api_tokens import ApiTokens
    from core.services.approvals import Approvals
    from core.services.attention import Attention
    from core.services.audit_trail import AuditTrail
    from core.services.authenticators import Authenticators
    from core.services.budgets import Budgets
    from core.services.code_approvals import CodeApprovals
    from core.services.conversations import Conversations
    from core.services.identities import Identities
    from core.services.joint_approvals import JointApprovals
    from core.services.live_output import LiveOutputs
    from core.services.passkey_approvals import PasskeyApprovals
    from core.services.passkeys import Passkeys
    from core.services.possible_steps import PossibleSteps
    from core.services.provider_sign_ins import ProviderSignIns
    from core.services.queries import Queries
    from core.services.run_comparison import RunComparisons
    from core.services.step_times import StepTimes
    from core.services.step_ups import StepUps
    from core.services.task_document import TaskDocuments
    from core.services.task_search import TaskSearch
    from core.services.task_work import TaskWorks
    from core.services.web_sessions import WebSessions


class TaskServices(HomeParts):
    """Services that need a database and the configuration alone, for those who ask and approve."""

    @cached_property
    def approvals(self) -> Approvals:
        """Approvals and rejections."""
        from core.services.approvals import Approvals

        return Approvals(self.database, self.settings, self.milestones)

    @cached_property
    def joint_approvals(self) -> JointApprovals:
        """Approving several low-risk diffs in one sitting."""
        from core.services.joint_approvals import JointApprovals

        return JointApprovals(self.database, self.settings, self.approvals, self.web_sessions)

    @cached_property
    def live_outputs(self) -> LiveOutputs:
        """The output of running work."""
        from core.services.live_output import LiveOutputs

        return LiveOutputs(self.database, self.settings)

    @cached_property
    def step_times(self) -> StepTimes:
        """When the steps of workflows ran."""
        from core.services.step_times import StepTimes

        return StepTimes(self.database, self.settings)

    @cached_property
    def run_comparisons(self) -> RunComparisons:
        """Figures of runs to compare."""
        from core.services.run_comparison import RunComparisons

        return RunComparisons(self.database, self.settings, self.task_works)

    @cached_property
    def budgets(self) -> Budgets:
        """Extending the budgets of tasks that ask for it."""
        from core.services.budgets import Budgets

        return Budgets(self.database, self.settings, self.milestones)

    @cached_property
    def attention(self) -> Attention:
        """Whose turn it is."""
        from core.services.attention import Attention

        return Attention(self.database, self.settings)

    @cached_property
    def steps(self) -> PossibleSteps:
        """Which steps beside verdicts a person can take on a task."""
        from core.services.possible_steps import PossibleSteps

        return PossibleSteps(self.database, self.settings)

    @cached_property
    def web_sessions(self) -> WebSessions:
        """Sign-in links and sessions of browsers."""
        from core.services.web_sessions import WebSessions

        return WebSessions(self.database, self.settings)

    @cached_property
    def accounts(self) -> Accounts:
        """Local accounts with passwords."""
        from core.services.accounts import Accounts

        return Accounts(self.database, self.settings)

    @cached_property
    def passkeys(self) -> Passkeys:
        """The passkeys of people."""
        from core.services.passkeys import Passkeys
        from core.signing import Keys

        return Passkeys(self.database, self.settings, Keys(self.home.keys))

    @cached_property
    def passkey_approvals(self) -> PasskeyApprovals:
        """Approvals that the approver's passkey signs."""
        from core.services.passkey_approvals import PasskeyApprovals
        from core.signing import Keys

        return PasskeyApprovals(self.database, self.settings, self.passkeys, self.approvals, Keys(self.home.keys))

    @cached_property
    def queries(self) -> Queries:
        """Queries of tasks, events and the queue."""
        from core.services.queries import Queries

        return Queries(self.database, self.settings, self.files)

    @cached_property
    def documents(self) -> TaskDocuments:
        """Documents with everything about a task, for people who may see it."""
        from core.services.task_document import TaskDocuments

        return TaskDocuments(self.database, self.settings)

    @cached_property
    def task_works(self) -> TaskWorks:
        """What was worked on tasks."""
        from core.services.task_work import TaskWorks

        return TaskWorks(self.database, self.settings)

    @cached_property
    def identities(self) -> Identities:
        """The people that accounts on surfaces belong to."""
        from core.services.identities import Identities

        return Identities(self.database, self.settings)

    @cached_property
    def access_overview(self) -> AccessOverview:
        """Who has access, and how."""
        from core.services.access_overview import AccessOverview

        return AccessOverview(self.database, self.settings)

    @cached_property
    def audit_trail(self) -> AuditTrail:
        """The events of the home, and whether their chains hold."""
        from core.services.audit_trail import AuditTrail

        return AuditTrail(self.database, self.settings)

    @cached_property
    def authenticators(self) -> Authenticators:
        """The authenticator apps of people."""
        from core.services.authenticators import Authenticators
        from core.signing import Keys

        return Authenticators(self.database, self.settings, Keys(self.home.keys))

    @cached_property
    def code_approvals(self) -> CodeApprovals:
        """Approvals with a code of an authenticator app."""
        from core.services.code_approvals import CodeApprovals

        return CodeApprovals(self.authenticators, self.approvals)

    @cached_property
    def step_ups(self) -> StepUps:
        """Proofs within a session of the pages."""
        from core.services.step_ups import StepUps

        return StepUps(self.database, self.authenticators, self.passkeys, self.web_sessions)

    @cached_property
    def identity_providers(self) -> IdentityProviders:
        """The providers where people sign in to the pages."""
        from bot.identity_providers.registry import IdentityProviders

        return IdentityProviders(lambda: self.config.identity_providers)

    @cached_property
    def provider_sign_ins(self) -> ProviderSignIns:
        """Sign-ins that began at an identity provider."""
        from core.services.provider_sign_ins import ProviderSignIns

        return ProviderSignIns(self.database, self.identities)

    @cached_property
    def task_search(self) -> TaskSearch:
        """The list of tasks, filtered and searched."""
        from core.services.task_search import TaskSearch

        return TaskSearch(self.database, self.settings)

    @cached_property
    def api_tokens(self) -> ApiTokens:
        """The tokens of the API."""
        from core.services.api_tokens import ApiTokens

        return ApiTokens(self.database, self.settings)

    @cached_property
    def api_responses(self) -> ApiResponses:
        """The responses of the API that are repeated for a repeated request."""
        from core.services.api_responses import ApiResponses

        return ApiResponses(self.database)

    @cached_property
    def conversations(self) -> Conversations:
        """Which tasks each conversation is about."""
        from core.services.conversations import Conversations

        return Conversations(self.database, self.settings)
