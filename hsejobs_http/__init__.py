"""The HTTP shim: authenticates, authorizes and validates requests, and uses the same store as all others."""
