"""Make each task of a generated account from its place in order of creation, and nothing else."""

from bisect import bisect_left
from collections.abc import Container, Iterable, Iterator
from functools import cache

from scalesync.sandbox.json_codec import Doc
from scalesync.sandbox.timestamps import format_millis
from tests.benchmark.documents import HOUR, PROJECTS, START, YEAR, project_id

PER_BATCH = 1_000
PERIOD = 4_000
"""Number of places after which project and status repeat."""
LAST_UPDATE = START + 3 * YEAR + 72 * HOUR
"""No task of the account as it is made was updated later, in milliseconds since 1970."""

_TURNS = tuple(PROJECTS[number] for number in (0, 1, 0, 2, 0, 1, 0, 3))
"""The projects of eight tasks in a row: the first project has half of all."""
_CHANGED_OF_PERIOD, _APART = 4, 1_001
"""Places of each PERIOD that one change touches: one in a thousand; and the distance between them."""
_TIE_EVERY, _TIED = 64, 4
"""Length of a row of tasks of which the first ones share their millisecond."""
_MOST = 1 << 24
"""Tasks whose ids can differ by their last six digits alone."""
_MACHINE = "5f1e7a90b3"
_LABELS = (b"car", b"truck", b"cyclist", b"pedestrian")

_HEAD = (
    b'{"task_id":"%b","created_at":"%b","updated_at":"%b","type":"imageannotation","status":"%b",'
    b'"instruction":"Draw a tight box around **every** vehicle, person and light;\\nleave out reflections.",'
    b'"params":{"attachment":"https://pictures.example/%08x.jpg","attachment_type":"image","geometries":'
    b'{"box":{"objects_to_annotate":["car","truck","cyclist","pedestrian"],"min_height":10,"min_width":10}}},'
    b'"is_test":false,"urgency":"standard","metadata":{"row":%d,"drive":%d},"project":"%b","projectId":"%b",'
    b'"project_param_version":0,"batch":"%b","processed_attachments":[],"unique_id":"frame-%08d"'
)
_BOX = (
    b'{"uuid":"%08x-0000-4000-8000-%012x","type":"box","label":"%b","attributes":{"occluded":"%d%%"},'
    b'"left":%d.5,"top":%d.25,"width":%d,"height":%d}'
)
_COMPLETED = b',"completed_at":"%b","response":{"annotations":[%b,%b],"global_attributes":{}}'
_FAILED = b',"completed_at":"%b","response":{"error":"the picture could not be read"}'
_REVIEWED = b',"customer_review_status":"fixed"'


def project_at(place: int) -> str:
    """Return the project of the task at a place."""
    return _TURNS[place % len(_TURNS)]


def status_at(place: int, pending: bool, changed: Container[int]) -> str:
    """Return the status of a task that is one of the newest, which are `pending`, or is not."""
    if pending:
        return "completed" if place % PERIOD in changed else "pending"
    if place % 100 == 3:
        return "error"
    return "canceled" if place % 50 == 7 else "completed"


@cache
def _rank_of_project(project: str) -> tuple[int, ...]:
    """Return the offsets of a project's tasks among eight in a row."""
    return tuple(offset for offset, name in enumerate(_TURNS) if name == project)


class TaskMaker:
    """A function from places to tasks, for one size of account."""

    def __init__(self, count: int, seed: int) -> None:
        """Make `count` tasks, spread over three years, of which later ones have more."""
        if count > _MOST:
            raise ValueError(f"a generated account has {_MOST:,} tasks at most")
        self._count, self._seed = count, seed
        self.pending_from = count - count // 50
        """The place from which on tasks are pending."""
        self.changed: dict[int, tuple[int, int, int]] = {}
        """Number and time of a change by offset in PERIOD, and the place from which on it changed tasks."""
        self._changes = 0
        self._project_ids = {name: project_id(name).encode() for name in PROJECTS}

    def created(self, place: int) -> int:
        """Return when a task was created, in milliseconds since 1970."""
        tied = place % _TIE_EVERY
        if tied < _TIED:
            place -= tied
        return START + int(3 * YEAR * (place / self._count) ** 0.6)

    def updated(self, place: int) -> int:
        """Return when a task last changed, in milliseconds since 1970."""
        change = self._change_of(place)
        if change is not None:
            return change[1] - place * 7_919 % 1_000
        return self.created(place) if place >= self.pending_from else self._completed(place)

    def _completed(self, place: int) -> int:
        return self.created(place) + HOUR + self._random(place) % (71 * HOUR)

    def _random(self, place: int) -> int:
        return (place + self._seed) * 2_654_435_761 % (1 << 32)

    def key(self, place: int) -> tuple[int, str]:
        """Return what lists are sorted by: time of creation and id."""
        created = self.created(place)
        return created, f"{created // 1000:08x}{_MACHINE}{place:06x}"

    def place_of(self, task_id: str) -> int | None:
        """Return the place of a task, or None if there is none of this id."""
        try:
            place = int(task_id[-6:], 16)
        except ValueError:
            return None
        return place if place < self._count and self.key(place)[1] == task_id else None

    def places_named(self, unique_ids: Iterable[str]) -> Iterator[int]:
        """Yield the places of the tasks with these unique_ids, in order."""
        digits = (name.removeprefix("frame-") for name in unique_ids)
        places = sorted(int(each) for each in digits if len(each) == 8 and each.isdecimal())
        return (place for place in places if place < self._count)

    def first_at(self, created: int) -> int:
        """Return the place of the first task created at a time or later."""
        return bisect_left(range(self._count), created, key=self.created)

    def status(self, place: int) -> str:
        """Return a task's status."""
        return status_at(place, place >= self.pending_from, self.changed)

    def batch(self, place: int) -> str:
        """Return the name of a task's batch: each has the next PER_BATCH tasks of its project."""
        project = project_at(place)
        ranks = _rank_of_project(project)
        number = place // len(_TURNS) * len(ranks) + ranks.index(place % len(_TURNS))
        return f"{project} {number // PER_BATCH + 1:05d}"

    def places_of_batch(self, project: str, number: int) -> tuple[int, int]:
        """Return the first place of a project's batch, and the first one of the next batch."""
        first, behind = (self._place_in(project, each * PER_BATCH) for each in (number, number + 1))
        return first, behind

    def _place_in(self, project: str, number: int) -> int:
        ranks = _rank_of_project(project)
        return number // len(ranks) * len(_TURNS) + ranks[number % len(ranks)]

    def change(self, now: int, *, recent: bool = False) -> int:
        """Change one task in a thousand at `now`, each time others, and return how many.

        With `recent` all of them are among the newest twentieth, otherwise spread over the whole account.
        """
        first, since = self._changes * 37, self._count - self._count // 20 if recent else 0
        self._changes += 1
        number, apart = (_CHANGED_OF_PERIOD * 20, PERIOD // 80) if recent else (_CHANGED_OF_PERIOD, _APART)
        offsets = {(first + turn * apart) % PERIOD for turn in range(number)} - self.changed.keys()
        self.changed |= dict.fromkeys(offsets, (self._changes, now, since))
        return sum(len(self._places(offset)) for offset in offsets)

    def _places(self, offset: int) -> range:
        """Return the places of the tasks that were changed at an offset."""
        since = self.changed[offset][2]
        periods = max(0, -(-(since - offset) // PERIOD))
        return range(offset + periods * PERIOD, self._count, PERIOD)

    def _change_of(self, place: int) -> tuple[int, int] | None:
        """Return number and time of a task's change, or None."""
        number, now, since = self.changed.get(place % PERIOD, (0, 0, self._count))
        return (number, now) if place >= since else None

    def places_changed(self) -> list[int]:
        """Return the places of all tasks that were changed, in order."""
        return sorted(place for offset in self.changed for place in self._places(offset))

    def task(self, place: int) -> bytes:
        """Return a task as JSON text."""
        created, task_id = self.key(place)
        project, status, number = project_at(place), self.status(place), self._random(place)
        text = _HEAD % (
            task_id.encode(),
            _stamp(created),
            _stamp(self.updated(place)),
            status.encode(),
            number,
            place,
            place // 120,
            project.encode(),
            self._project_ids[project],
            self.batch(place).encode(),
            place,
        )
        change = self._change_of(place)
        if status == "completed":
            done = self._completed(place) if place < self.pending_from else self.updated(place)
            boxes = (self._box(place, shape, 0 if change is None else change[0]) for shape in (0, 1))
            text += _COMPLETED % (_stamp(done), *boxes)
        elif status == "error":
            text += _FAILED % _stamp(self._completed(place))
        return text + (_REVIEWED if change is not None else b"") + b"}"

    def _box(self, place: int, shape: int, change: int) -> bytes:
        number = self._random(2 * place + shape)
        label = _LABELS[(number + change) % len(_LABELS)]
        place_of_box = number % 1_700, number % 900, 20 + number % 190, 20 + number % 150
        return _BOX % (number, 2 * place + shape, label, number % 4 * 25, *place_of_box)

    def batch_doc(self, project: str, number: int, status: str) -> Doc:
        """Return a batch, created with its first task."""
        first, behind = self.places_of_batch(project, number)
        doc: Doc = {
            "id": f"{self.created(first) // 1000:08x}{number:016x}",
            "project": project,
            "name": self.batch(first),
            "callback": "",
            "status": status,
            "created_at": format_millis(self.created(first)),
            "metadata": {"wave": number},
        }
        if status == "completed":
            doc["completed_at"] = format_millis(self.created(min(behind, self._count) - 1) + 72 * HOUR)
        return doc


def _stamp(millis: int) -> bytes:
    return format_millis(millis).encode()
