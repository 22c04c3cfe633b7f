"""What every claim is worked on with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from scalesync.api.client import ScaleApi
from scalesync.clock import Clock
from scalesync.queue.handlers import HANDLERS, Handler
from scalesync.queue.ledger import Ledger
from scalesync.queue.timing import Timing


@dataclass(frozen=True)
class Tools:
    """The same for all claims of a dispatcher."""

    ledger: Ledger
    api: ScaleApi
    clock: Clock
    timing: Timing
    random: Callable[[], float]
    """Gives a number from 0 to 1 for each wait."""
    handlers: Mapping[str, Handler] = field(default_factory=lambda: HANDLERS)
