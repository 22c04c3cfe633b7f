"""Everything that knows SQL. `queue/x.py` decides, `db/queue/x.py` is its SQL on a connection that is given.

The flat modules know no domain. `schema` declares tables; `mirror` writes and reads objects of the API.
`sync`, `queue` and `export` import these two, and not each other.
"""
