"""The log of a Delta table: the actions that a publication writes, and whether others changed the table."""

import json
from collections.abc import Collection, Mapping
from time import time
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from scalesync.models.publishing import Partition
from scalesync.publish.data_files import DataFile
from scalesync.publish.published_table import CHANGED, PARTITION_COLUMNS, lacking_files

if TYPE_CHECKING:
    from deltalake import DeltaTable
    from pyarrow import fs

_MAINTENANCE = frozenset({"OPTIMIZE", "VACUUM START", "VACUUM END"})
"""Operations that leave the rows as they are, if their actions say so too."""


def fault(table: "DeltaTable", files: "fs.FileSystem", app: str, publication: int) -> str:
    """Return why a table is not as a publication left it, as the end of a sentence; empty if it is.

    `app` is the application in the log whose version is the number of the publication. Compaction and vacuum
    by anybody change nothing.
    """
    for version in range(table.version(), -1, -1):
        actions = _commit(files, version)
        if _has_number(actions, app, publication):
            return lacking_files(files, {unquote(each["path"]): each["size_bytes"] for each in _added(table)})
        # A commit that is not there any more was so old that a checkpoint has replaced it: nobody knows.
        if not _is_maintenance(actions):
            return CHANGED
    return CHANGED


def has_publication(files: "fs.FileSystem", version: int, app: str, publication: int) -> bool:
    """Return whether a version of the log is that of a publication; see `fault`."""
    return _has_number(_commit(files, version), app, publication)


def _has_number(actions: list[dict[str, Any]], app: str, number: int) -> bool:
    return {"appId": app, "version": number}.items() <= _of(actions, "txn", "appId", app).items()


def _commit(files: "fs.FileSystem", version: int) -> list[dict[str, Any]]:
    """Return the actions of a version, none if the log does not have it by itself any more."""
    path = f"_delta_log/{version:020}.json"
    if not files.get_file_info(path).is_file:
        return []
    try:
        with files.open_input_stream(path) as stream:
            return [json.loads(line) for line in stream.read().splitlines() if line.strip()]
    except ValueError:
        # A checkpoint covers it, else the table could not be read: but nobody knows what it did.
        return []


def _of(actions: list[dict[str, Any]], kind: str, key: str, value: str) -> dict[str, Any]:
    """Return the action of a kind in which a key has a value; empty if there is none."""
    return next((each[kind] for each in actions if kind in each and each[kind].get(key) == value), {})


def _is_maintenance(actions: list[dict[str, Any]]) -> bool:
    operations = {each["commitInfo"].get("operation") for each in actions if "commitInfo" in each}
    others = {name for each in actions for name in each} - {"commitInfo", "add", "remove"}
    moved = [each[name] for each in actions for name in ("add", "remove") if name in each]
    # `dataChange` is true where it is left out.
    return (
        bool(operations)
        and operations <= _MAINTENANCE
        and not others
        and not any(each.get("dataChange", True) for each in moved)
    )


def _added(table: "DeltaTable") -> list[dict[str, Any]]:
    """Return the files that belong to a table."""
    import pyarrow as pa

    found: list[dict[str, Any]] = pa.table(table.get_add_actions()).to_pylist()
    return found


def removed(table: "DeltaTable", replaced: Collection[Partition] | None) -> list[Any]:
    """Return the actions that remove the files of these partitions, None of all."""
    from deltalake.transaction import RemoveAction

    now = int(time() * 1000)
    return [
        # The log has paths encoded, and the action encodes what it is given.
        RemoveAction(unquote(each["path"]), True, now, each["size_bytes"], each.get("partition"))
        for each in _added(table)
        if replaced is None or _partition_of(each["partition"]) in replaced
    ]


def _partition_of(values: Mapping[str, str | None]) -> Partition:
    return Partition(values["project"] or "", values["month"] or "")


def added(partition: Partition | None, file: DataFile) -> Any:
    """Return the action that adds a file, with what engines need to know for leaving it out."""
    from deltalake.transaction import AddAction

    bounds = {"minValues": file.lowest, "maxValues": file.highest, "nullCount": file.nulls}
    statistics: dict[str, Any] = {"numRecords": file.rows}
    for name, by_column in bounds.items():
        # The log has the values of the partition itself.
        statistics[name] = {
            column: each
            for column, each in by_column.items()
            if partition is None or column not in PARTITION_COLUMNS
        }
    # An empty text is NULL in Delta's log anyway.
    values = {} if partition is None else {name: value or None for name, value in partition._asdict().items()}
    return AddAction(file.path, file.bytes, values, int(time() * 1000), True, json.dumps(statistics))
