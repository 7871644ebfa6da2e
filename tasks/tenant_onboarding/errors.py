"""How onboarding can be refused for good.

::

    JobsError
    └── Unrecoverable
        ├── NameTaken         another administrator's organisation has the name
        └── SubscriptionTaken the subscription, or the organisation, is linked already
"""

from __future__ import annotations

from hsejobs.errors import Unrecoverable


class NameTaken(Unrecoverable):
    """An organisation of this name has another administrator's address."""

    code = "name_taken"


class SubscriptionTaken(Unrecoverable):
    """The subscription is another organisation's, or the organisation has another one."""

    code = "subscription_taken"
