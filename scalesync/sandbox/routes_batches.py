"""The operations on batches and projects."""

from scalesync.sandbox.batches import (
    batch_status,
    create_batch,
    finalize_batch,
    list_batches,
    set_batch_metadata,
)
from scalesync.sandbox.http import Answer, Call, api_route
from scalesync.sandbox.pagination import page_of_batches
from scalesync.sandbox.projects import create_project, list_projects, set_params, task_template


def _batches(call: Call) -> Answer:
    return page_of_batches(list_batches(call.account, call.params), call.params, call.account.switches)


def _create_batch(call: Call) -> Answer:
    return create_batch(call.account, call.object())


def _batch(call: Call) -> Answer:
    return call.account.batch(call.names["name"])


def _batch_status(call: Call) -> Answer:
    return batch_status(call.account, call.names["name"])


def _finalize(call: Call) -> Answer:
    return finalize_batch(call.account, call.names["name"])


def _batch_metadata(call: Call) -> Answer:
    return set_batch_metadata(call.account, call.names["name"], call.object())


def _projects(call: Call) -> Answer:
    return list_projects(call.account, call.params)


def _create_project(call: Call) -> Answer:
    return create_project(call.account, call.object())


def _project(call: Call) -> Answer:
    return call.account.project(call.names["name"])


def _set_params(call: Call) -> Answer:
    return set_params(call.account, call.names["name"], call.object())


def _template(call: Call) -> Answer:
    return task_template(call.account, call.names["name"])


ROUTES = [
    api_route("GET", "/batches", _batches, lists="batches"),
    api_route("POST", "/batches", _create_batch),
    api_route("GET", "/batches/{name}", _batch),
    api_route("GET", "/batches/{name}/status", _batch_status),
    api_route("POST", "/batches/{name}/finalize", _finalize),
    api_route("POST", "/batches/{name}/setMetadata", _batch_metadata),
    api_route("GET", "/projects", _projects, lists="projects"),
    api_route("POST", "/projects", _create_project),
    api_route("GET", "/projects/{name}", _project),
    api_route("POST", "/projects/{name}/setParams", _set_params),
    api_route("GET", "/projects/{name}/taskTemplates", _template),
]
