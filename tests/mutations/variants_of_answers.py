"""The broken variants of what counts as an answer, and of the write queue, with the tests that must fail."""

from tests.mutations.mutated_copy import Variant

_READ = "api/test_response_identity.py::test_a_read_gives_the_object_that_was_asked_for[given1-batch]"

ANSWERS = (
    Variant(
        "another object is read for the one that was asked for",
        "api/responses.py",
        "if field_of(found, key) != name:",
        "if field_of(found, key) is None:",
        (_READ,),
    ),
    Variant(
        "a connection that mixes answers up is kept",
        "api/client.py",
        "self.reconnect()",
        "pass",
        (_READ,),
        "except ScaleNoAnswer:",
    ),
    Variant(
        "a send counts as delivered, whoever's answer came",
        "queue/executor.py",
        "if document is not None and not handler.confirms(self.command, document):",
        "if document is not None and handler.result(document) is None:",
        ("queue/test_misrouted_responses.py::test_every_effect_is_there_once[sqlite-False-1]",),
    ),
    Variant(
        "the name of a task's answer is not looked at",
        "queue/handlers/tasks.py",
        'return self.result(answer) is not None and named == (payload["body"]["unique_id"], payload["type"])',
        "return self.result(answer) is not None and named is not None",
        ("queue/test_misrouted_responses.py::test_every_effect_is_there_once[sqlite-False-1]",),
    ),
    Variant(
        "a cancel looks its task up again",
        "queue/handlers/interface.py",
        'return payload if command.target is None else {**payload, "task_id": command.target}',
        'return payload if command.sends == 0 or "body" in payload else {**payload, "task_id": None}',
        ("queue/test_api_refusals.py::test_a_cancel_never_touches_another_task",),
    ),
    Variant(
        "a cancel does not keep the task that it found",
        "db/queue/claim_arm_settle.py",
        'target=sa.func.coalesce(_C.target, sa.bindparam("new_target", type_=_C.target.type)),',
        "target=_C.target,",
        ("queue/test_api_refusals.py::test_a_cancel_never_touches_another_task",),
    ),
    Variant(
        "a process rescues what it has in hand",
        "queue/claimer.py",
        "self.active.add(claim.command.id)",
        "pass",
        ("queue/test_clock_steps.py::test_a_clock_that_steps_forward_while_it_sends[sqlite]",),
    ),
    Variant(
        "the settle time counts by a clock that can be set",
        "queue/executor_deps.py",
        "return self.clock.boottime() - arm.at",
        "return claim.since_sent",
        ("queue/test_clock_steps.py::test_a_clock_that_steps_while_it_is_in_doubt[sqlite-3600.0]",),
    ),
    Variant(
        "what the mirror holds under a name is taken for the same, whatever it is",
        "db/queue/conflicts.py",
        "return differences(new.kind, json.loads(without_references(new.payload)), found.document)",
        "return []",
        ("queue/test_enqueue.py::test_what_the_mirror_holds_with_other_content_is_refused",),
    ),
    Variant(
        "a refusal is believed without a look",
        "queue/executor.py",
        "case ResponseClass.NEEDS_LOOKUP | ResponseClass.REFUSED:",
        "case ResponseClass.REFUSED: return settlements.reject(error)\n"
        "            case ResponseClass.NEEDS_LOOKUP:",
        ("queue/test_api_refusals.py::test_a_refusal_kills_nobody_else",),
    ),
)
