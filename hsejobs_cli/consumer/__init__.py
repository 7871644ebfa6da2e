"""The consumer process that the supervisor starts; a package, because Huey restarts it by file path."""
