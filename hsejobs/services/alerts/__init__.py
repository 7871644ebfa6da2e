"""Send alerts to operators: directly to a webhook or by mail, never through a queue."""

from hsejobs.services.alerts.channels import channels
from hsejobs.services.alerts.watcher import Watcher

__all__ = ["Watcher", "channels"]
