"""The default data of a new organization. Ids are fixed, so that a second run finds the rows."""

from __future__ import annotations

#: Permissions by role.
ROLES: dict[str, list[str]] = {
    "owner": ["*"],
    "admin": [
        "users:*",
        "stations:*",
        "checklists:*",
        "audits:*",
        "incidents:*",
        "work-permits:*",
        "contractors:*",
        "reports:*",
    ],
    "member": [
        "stations:read",
        "checklists:read",
        "audits:read",
        "audits:write",
        "incidents:read",
        "incidents:write",
        "work-permits:read",
    ],
}

#: Id, name and kind.
STATIONS: tuple[tuple[str, str, str], ...] = (
    ("head-office", "Head Office", "office"),
    ("workshop", "Workshop", "workshop"),
    ("warehouse", "Warehouse", "warehouse"),
)

#: Id, name and items.
CHECKLISTS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "fire-safety",
        "Fire safety",
        (
            "Escape routes are marked and clear",
            "Fire extinguishers are in place and in date",
            "Alarms and emergency lighting were tested",
            "Flammable materials are stored apart",
            "The assembly point is signed and known",
        ),
    ),
    (
        "workplace-inspection",
        "Workplace inspection",
        (
            "Walkways are clean, dry and lit",
            "Machines have their guards",
            "Protective equipment is worn where it is required",
            "Cables and tools are undamaged",
            "The first-aid kit is complete",
        ),
    ),
    (
        "permit-to-work",
        "Permit to work",
        (
            "The permit is signed and displayed",
            "Energy sources are isolated and locked",
            "The workers know the risks and the emergency plan",
            "The area is barriered and signed",
            "A supervisor has checked the site",
        ),
    ),
)
