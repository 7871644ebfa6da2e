"""Maps a place to its screen. The only module that knows all screens; each is imported on first use."""

from __future__ import annotations

from importlib import import_module

from hsejobs_tui.screens.base import View
from hsejobs_tui.screens.overview import Overview
from hsejobs_tui.session.places import InsightPlace, ListPlace, MatchPlace, Place, QueuePlace

#: Class names of the numbered screens, by command id.
CLASSES = {
    "overview": "Overview",
    "failures": "Failures",
    "workers": "Workers",
    "insight": "Insight",
    "alerts": "Alerts",
    "circuits": "CircuitList",
    "events": "Events",
    "tenants": "Tenants",
    "schedules": "Schedules",
}


def screen_for(place: Place) -> View:
    """A new screen that shows the place."""
    if isinstance(place, ListPlace):
        if place.name == "overview":
            return Overview()
        module = import_module(f"hsejobs_tui.screens.{place.name}")
        screen = getattr(module, CLASSES[place.name])
        made: View = screen(place.row) if place.row else screen()
        return made
    if isinstance(place, InsightPlace):
        from hsejobs_tui.screens.insight import Insight

        return Insight(place)
    if isinstance(place, QueuePlace):
        from hsejobs_tui.screens.queue import QueueView

        return QueueView(place.queue, place.state, place.query, searching=place.searching)
    if isinstance(place, MatchPlace):
        from hsejobs_tui.screens.matches import Matches

        return Matches(place.query)
    from hsejobs_tui.screens.job import JobView

    return JobView(place.queue, place.job_id)
