"""The command table, in parts by what the commands are about."""
