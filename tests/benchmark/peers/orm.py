"""Scale's official client, with SQLAlchemy's ORM to merge each task; a commit for each page."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, DateTime, Engine, create_engine, event
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from tests.benchmark.peers.official import pages
from tests.benchmark.peers.protocol import Report, print_counts, read_job

_Json = JSON().with_variant(JSONB(), "postgresql")
_Instant = DateTime(timezone=True)

INSTANTS = ("created_at", "updated_at", "completed_at")


class Base(DeclarativeBase):
    """Base of the mapped classes."""


class Task(Base):
    """A task: columns for the fields that people filter by, and JSON for the rest."""

    __tablename__ = "tasks"

    task_id: Mapped[str] = mapped_column(primary_key=True)
    project: Mapped[str | None] = mapped_column(index=True)
    batch: Mapped[str | None] = mapped_column(index=True)
    type: Mapped[str | None]
    status: Mapped[str | None] = mapped_column(index=True)
    unique_id: Mapped[str | None] = mapped_column(index=True)
    instruction: Mapped[str | None]
    is_test: Mapped[bool | None]
    customer_review_status: Mapped[str | None]
    created_at: Mapped[datetime | None] = mapped_column(_Instant, index=True)
    updated_at: Mapped[datetime | None] = mapped_column(_Instant, index=True)
    completed_at: Mapped[datetime | None] = mapped_column(_Instant)
    params: Mapped[Any] = mapped_column(_Json, nullable=True)
    meta: Mapped[Any] = mapped_column("metadata", _Json, nullable=True)
    tags: Mapped[Any] = mapped_column(_Json, nullable=True)
    response: Mapped[Any] = mapped_column(_Json, nullable=True)
    extra: Mapped[Any] = mapped_column(_Json)


COLUMNS = frozenset(Task.__mapper__.columns.keys()) - {"meta", "extra"}


def task_of(document: dict[str, Any]) -> Task:
    """Return the row of a document."""
    values = {name: value for name, value in document.items() if name in COLUMNS}
    for name in INSTANTS:
        if values.get(name):
            values[name] = datetime.fromisoformat(values[name])
    extra = {name: value for name, value in document.items() if name not in COLUMNS | {"metadata"}}
    return Task(**values, meta=document.get("metadata"), extra=extra)


def engine_of(url: str) -> Engine:
    """Return an engine, on SQLite with the usual pragmas."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))

    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "connect")
        def prepare(connection: Any, _record: object) -> None:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")

    return engine


def main() -> None:
    """Copy all tasks into one table."""
    job = read_job()
    engine = engine_of(job.database)
    Base.metadata.create_all(engine)
    for page in pages(job):
        with Session(engine) as session:
            for document in page:
                session.merge(task_of(document))
            session.commit()
    print_counts(Report(), job)


if __name__ == "__main__":
    main()
