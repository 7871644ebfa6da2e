"""What jobs do to the outside world: mail, webhooks, documents, artifacts.

Nothing here knows huey or the engine: a service takes plain values and
callables, so that it can be used and tested without a queue.
"""
