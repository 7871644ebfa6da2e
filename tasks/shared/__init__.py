"""Code that several of the application's queues share: the platform's data and file formats.

Queues may import from here; nothing here imports a queue.
"""
