"""Services for jobs: mail, webhooks, artifacts, circuit breakers, alerts, tenant data.

Services do not import huey or the engine: they take plain values and
callables, so they can be used and tested without a queue.
"""
