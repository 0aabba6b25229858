"""What somebody should hear of: alarms of devices and of the gateway, and the webhook for them."""

from .states import KINDS, Alarm, AlarmStates
from .webhook import Webhook

__all__ = ["KINDS", "Alarm", "AlarmStates", "Webhook"]
