"""The HTTP shim: validates, authorises, and calls the same store as everyone else."""
