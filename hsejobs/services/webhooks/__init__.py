"""Webhooks: the body and its signature, the guarded connection, delivery, the receivers' answers."""
