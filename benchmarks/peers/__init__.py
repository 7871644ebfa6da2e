"""The systems that hsejobs is compared with."""
