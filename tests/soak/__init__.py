"""A long run by hand, never collected by pytest: `python -m tests.soak --minutes 30 --tasks 200000`.

A large made-up account, an API that fails one request in ten, people who change things between two pages,
and scalesync processes that read, submit, send and verify all at once, killed or frozen every now and then.
"""
