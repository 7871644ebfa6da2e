"""How onboarding can be refused for good.

::

    JobsError
    └── Unrecoverable
        ├── NameTaken         another administrator's organization has the name
        └── SubscriptionTaken the subscription, or the organization, is linked already
"""

from __future__ import annotations

from hsejobs.errors import Unrecoverable


class NameTaken(Unrecoverable):
    """An organization of this name has another administrator's address."""

    code = "name_taken"


class SubscriptionTaken(Unrecoverable):
    """The subscription is another organization's, or the organization has another one."""

    code = "subscription_taken"
