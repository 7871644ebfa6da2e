"""``hsejobs chaos``: jobs with a ledger, blows by a plan, a verdict.

``plan`` says what will happen, ``crew`` and ``proxy`` and ``refusals`` do it, ``queue`` is what the
consumers run, ``ledger`` what they write down, ``verdict`` what follows from it, ``guard`` cleans up.
"""
