"""The only network access of a sandbox: to the models of the lane, and to the hosts that the lane file lists."""

from lanes.egress.broker import EgressBroker
from lanes.egress.log import EgressLog
from lanes.egress.proxy import EgressProxy
from lanes.egress.routes import PROTOCOLS
from lanes.egress.usage_account import UsageAccount

__all__ = ["PROTOCOLS", "EgressBroker", "EgressLog", "EgressProxy", "UsageAccount"]
