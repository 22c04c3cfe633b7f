"""All SQL of the package. `queue/x.py` decides, `db/queue/x.py` runs its SQL on the caller's connection.

The flat modules know no domain. `schema` declares tables; `mirror` writes and reads objects of the API.
`sync`, `queue` and `export` import these two, and not each other.
"""
