"""``hsejobs chaos``: runs jobs with a ledger, strikes blows by a plan, and gives a verdict.

``plan`` decides what happens; ``run``, ``consumers``, ``proxy`` and ``refusals`` do it. ``queue`` has the
tasks, ``ledger`` records what they do, ``verdict`` judges it, ``guard`` cleans up.
"""
