"""The only way out of a sandbox: to the one model that the lane names, and to the hosts that its file lists."""

from lanes.broker.account import Account
from lanes.broker.log import Log
from lanes.broker.proxy import Proxy
from lanes.broker.routes import SPOKEN
from lanes.broker.server import Broker

__all__ = ["SPOKEN", "Account", "Broker", "Log", "Proxy"]
