"""The services of the queue, the model servers and the operator, built on first use."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from bot.wiring.home_parts import HomeParts

if TYPE_CHECKING:
    from bot.wiring.what_if import WhatIfs
    from core.queue.lease_client import LeaseClient
    from core.services.alerts import Alerts
    from core.services.endpoint_health import EndpointHealth
    from core.services.home_checks import HomeChecks
    from core.services.insight import Insight
    from core.services.inventory import Inventory
    from core.services.metrics import Metrics
    from core.services.objectives import ObjectiveEvaluation
    from core.services.period_figures import PeriodStatistics
    from core.services.queue_control import QueueControl
    from core.services.queue_history import QueueHistory
    from core.services.queue_statistics import QueueStatistics
    from core.services.scheduler_weights import SchedulerWeights
    from core.services.spending_report import SpendingReport
    from core.services.webhooks import Webhooks


class OperatingServices(HomeParts):
    """Services that need a database and the configuration alone, for those who operate."""

    @cached_property
    def queue_control(self) -> QueueControl:
        """Pausing and resuming the queue."""
        from core.services.queue_control import QueueControl

        return QueueControl(self.database, self.settings)

    @cached_property
    def inventory(self) -> Inventory:
        """Model servers and the hosts of workers."""
        from core.services.inventory import Inventory

        return Inventory(self.database, self.settings, lambda: self.config.endpoint_kinds)

    @cached_property
    def webhooks(self) -> Webhooks:
        """Deliveries of events to webhooks and other receivers."""
        from core.services.webhooks import Webhooks

        return Webhooks(self.database)

    @cached_property
    def spending(self) -> SpendingReport:
        """What models cost."""
        from core.services.spending_report import SpendingReport

        return SpendingReport(self.database, self.settings)

    @cached_property
    def queue_history(self) -> QueueHistory:
        """What the queue did, for the simulator."""
        from core.services.queue_history import QueueHistory

        return QueueHistory(self.database)

    @cached_property
    def queue_statistics(self) -> QueueStatistics:
        """What the queue and the model servers did, for `stats`."""
        from core.services.queue_statistics import QueueStatistics

        return QueueStatistics(self.database)

    @cached_property
    def insight(self) -> Insight:
        """What happened in the last days, for the page of insights."""
        from core.services.insight import Insight

        return Insight(self.database, self.settings)

    @cached_property
    def alerts(self) -> Alerts:
        """What operators are alerted of."""
        from core.services.alerts import Alerts

        return Alerts(self.database, self.settings)

    @cached_property
    def objective_evaluation(self) -> ObjectiveEvaluation:
        """How objectives are met."""
        from core.services.objectives import ObjectiveEvaluation

        return ObjectiveEvaluation(self.database)

    @cached_property
    def period_statistics(self) -> PeriodStatistics:
        """What happened in a period, for `stats`."""
        from core.services.period_figures import PeriodStatistics

        return PeriodStatistics(self.database)

    @cached_property
    def metrics(self) -> Metrics:
        """What the home measures of itself."""
        from core.services.metrics import Metrics

        return Metrics(self.database)

    @cached_property
    def scheduler_weights(self) -> SchedulerWeights:
        """The weights of the live scheduler."""
        from core.services.scheduler_weights import SchedulerWeights

        return SchedulerWeights(self.database, self.settings)

    @cached_property
    def home_checks(self) -> HomeChecks:
        """Data for `stats`, `doctor` and `verify`."""
        from core.services.home_checks import HomeChecks

        return HomeChecks(self.database, self.settings)

    @cached_property
    def what_ifs(self) -> WhatIfs:
        """What the queue would do on other endpoints."""
        from bot.wiring.what_if import WhatIfs

        return WhatIfs(self.queue_history)

    @cached_property
    def lease_client(self) -> LeaseClient:
        """Waits for model leases on behalf of this process."""
        from core.queue.lease_client import LeaseClient
        from core.services.model_leases import ModelLeaseBook

        return LeaseClient(ModelLeaseBook(self.database))

    @cached_property
    def _endpoint_health(self) -> EndpointHealth:
        """Which endpoints may be asked; it outlives a change of the configuration."""
        from core.services.endpoint_health import EndpointHealth

        return EndpointHealth(self.database)
