"""What several queues of the application share: the platform's data, and how files are made of it.

A queue may import from here; nothing here imports a queue.
"""
