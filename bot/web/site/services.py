"""What the pages need of the rest of the program: services of core, each made on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from core.services.accounts import Accounts
    from core.services.approvals import Approvals
    from core.services.attention import Attention
    from core.services.budgets import Budgets
    from core.services.inventory import Inventory
    from core.services.passkey_approvals import PasskeyApprovals
    from core.services.passkeys import Passkeys
    from core.services.queries import Queries
    from core.services.queue_control import QueueControl
    from core.services.requests import Requests
    from core.services.staged_diffs import StagedDiffs
    from core.services.task_document import TaskDocuments
    from core.services.web_sessions import WebSessions


class SiteServices(Protocol):
    """The services behind the pages; `bot.wiring.app.App` has them."""

    @property
    def accounts(self) -> Accounts:
        """Local accounts with passwords."""

    @property
    def approvals(self) -> Approvals:
        """Approvals and rejections."""

    @property
    def attention(self) -> Attention:
        """Whose turn it is."""

    @property
    def budgets(self) -> Budgets:
        """Extending the budgets of tasks that ask for it."""

    @property
    def diffs(self) -> StagedDiffs:
        """What digests name."""

    @property
    def documents(self) -> TaskDocuments:
        """Everything about one task."""

    @property
    def inventory(self) -> Inventory:
        """Model servers and nodes."""

    @property
    def passkey_approvals(self) -> PasskeyApprovals:
        """Approvals that the approver's passkey signs."""

    @property
    def passkeys(self) -> Passkeys:
        """The passkeys of people."""

    @property
    def queries(self) -> Queries:
        """Lists, events, the queue and artifacts."""

    @property
    def queue_control(self) -> QueueControl:
        """Pausing and resuming the queue."""

    @property
    def requests(self) -> Requests:
        """Requests and replies."""

    @property
    def web_sessions(self) -> WebSessions:
        """Sign-in links and sessions."""
