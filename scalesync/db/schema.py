"""Every table there is: importing this module is what makes the metadata whole."""

import scalesync.db.annotation_tables
import scalesync.db.queue_tables
import scalesync.db.verifications  # noqa: F401 - their tables join the metadata
from scalesync.db.tables import metadata

__all__ = ["metadata"]
