"""The queue against every way in which a send can go wrong, judged by what happened at the server."""
