"""Permanent errors of onboarding.

::

    JobsError
    └── Unrecoverable
        ├── NameTaken         another administrator's organization has the name
        └── SubscriptionTaken the subscription, or the organization, is linked already
"""

from __future__ import annotations

from hsejobs.errors import Unrecoverable


class NameTaken(Unrecoverable):
    """An organization with this name has a different administrator."""

    code = "name_taken"


class SubscriptionTaken(Unrecoverable):
    """The subscription belongs to another organization, or the organization has a different one."""

    code = "subscription_taken"
