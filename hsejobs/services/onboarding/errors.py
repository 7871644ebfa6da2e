"""How onboarding can be refused, for good, and what may pass.

::

    JobsError
    ├── PlatformUnavailable   the platform's database did not answer
    └── Unrecoverable
        ├── NameTaken         another administrator's organisation has the name
        └── SubscriptionTaken the subscription, or the organisation, is linked already
"""

from __future__ import annotations

from hsejobs.errors import JobsError, Unrecoverable


class PlatformUnavailable(JobsError):
    """The platform's database did not answer, or refused a statement; tried again."""

    code = "platform_unavailable"


class NameTaken(Unrecoverable):
    """An organisation of this name has another administrator's address."""

    code = "name_taken"


class SubscriptionTaken(Unrecoverable):
    """The subscription is another organisation's, or the organisation has another one."""

    code = "subscription_taken"
