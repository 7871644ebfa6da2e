"""Multi-step commands: ask in dialogs, act through the session, report the outcome."""
