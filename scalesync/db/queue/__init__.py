"""SQL of the queue, on a connection that the caller has.

Enqueue, claim, arm, settle, hold, discard, list.
"""
