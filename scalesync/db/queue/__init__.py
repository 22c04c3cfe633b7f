"""SQL of the command queue, run on the caller's connection: enqueue, claim, arm, settle, discard, list.

Functions never commit; locks last until the caller's transaction ends.
"""
