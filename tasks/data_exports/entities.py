"""The allow list of exports: for each entity its table and columns.

A column that is not listed is never exported, so a new column requires a deliberate change here.
Never add secrets (``password_hash``, ``invite_token``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Entity:
    """A kind of row: ``table`` in the platform's database, ``columns`` in the export's order."""

    name: str
    table: str
    columns: tuple[str, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns' names in JSON and CSV: ``station_id`` is ``stationId``."""
        return tuple(_camel(column) for column in self.columns)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


ENTITIES: Final = {
    entity.name: entity
    for entity in (
        Entity("stations", "stations", ("id", "name", "kind", "address", "active", "created_at")),
        Entity(
            "audits",
            "audits",
            (
                "id",
                "station_id",
                "title",
                "status",
                "score",
                "auditor",
                "findings",
                "open_actions",
                "scheduled_at",
                "completed_at",
                "created_at",
            ),
        ),
        Entity(
            "incidents",
            "incidents",
            (
                "id",
                "station_id",
                "title",
                "description",
                "kind",
                "severity",
                "status",
                "reported_by",
                "lost_days",
                "occurred_at",
                "closed_at",
                "created_at",
            ),
        ),
        Entity(
            "work-permits",
            "work_permits",
            (
                "id",
                "station_id",
                "contractor_id",
                "title",
                "kind",
                "status",
                "issued_to",
                "valid_from",
                "valid_until",
                "closed_at",
                "created_at",
            ),
        ),
        Entity(
            "contractors",
            "contractors",
            ("id", "name", "trade", "contact_email", "status", "insurance_until", "created_at"),
        ),
        Entity("users", "users", ("id", "email", "name", "role", "created_at")),
    )
}
