"""How the supervisor starts a consumer; a folder of its own, because a consumer restarts itself by path."""
