"""All mutants, in the order in which they run."""

from __future__ import annotations

from tests.mutants import engine, http, services, steps, store, tui
from tests.mutants.mutant import Mutant

MUTANTS: tuple[Mutant, ...] = (
    *store.MUTANTS,
    *engine.MUTANTS,
    *steps.MUTANTS,
    *services.MUTANTS,
    *http.MUTANTS,
    *tui.MUTANTS,
)
