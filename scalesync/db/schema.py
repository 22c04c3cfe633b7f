"""Every table there is: importing this module is what makes the metadata whole."""

import scalesync.db.annotation_tables
import scalesync.db.queue_tables  # noqa: F401 - its tables join the metadata
from scalesync.db.tables import metadata

__all__ = ["metadata"]
