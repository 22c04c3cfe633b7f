"""scalesync beside what people would use instead, measured on this machine: `python -m tests.benchmark`.

Takes the extras `test` and `bench`. Nothing here measures in the suite: its one test is that all of it works.
"""
