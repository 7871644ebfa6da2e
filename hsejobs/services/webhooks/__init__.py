"""Webhooks: the body and its signature, the restricted connection, delivery, the endpoint's response."""
