"""The files that jobs fill in: `email` for mails. Read through `importlib.resources`."""
