"""Asking: one outcome each, every answer paid for once, whatever the engine does."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from fixture_engine import FixtureBackend
from pydantic import BaseModel

from persona_pipeline.core.errors import PipelineError
from persona_pipeline.extract.llm.client import LlmClient, PromptRequest
from persona_pipeline.extract.llm.engines.engine import Answer
from persona_pipeline.extract.llm.requests import Request, Sampling
from persona_pipeline.warehouse import Warehouse

MakeAsker = Callable[..., LlmClient]


class Number(BaseModel):
    number: int


def question(subject: str, user: str | None = None, max_tokens: int = 20) -> PromptRequest:
    request = Request(
        "item_personas",
        subject,
        "say",
        user or f"about {subject}",
        {},
        FixtureBackend.model,
        Sampling(max_tokens, 0.0, 0),
    )
    return PromptRequest(request, Number)


def number(request: Request) -> str:
    return json.dumps({"number": len(request.user)})


def test_every_question_has_its_own_outcome_in_order(client: MakeAsker) -> None:
    backend = FixtureBackend(number)
    questions = [question("x" * n) for n in range(1, 24)]
    outcomes = client(backend).ask(questions)
    assert [o.request.subject for o in outcomes] == [q.request.subject for q in questions]
    assert [o.value.number for o in outcomes if isinstance(o.value, Number)] == [
        len("about ") + n for n in range(1, 24)
    ]
    assert len(backend.engines) == 1


def test_an_answered_key_is_never_asked_again(client: MakeAsker) -> None:
    backend = FixtureBackend(number)
    questions = [question(str(n)) for n in range(40)]
    first = client(backend)
    first.ask(questions)
    first.close()
    again = client(FixtureBackend(number))
    outcomes = again.ask([*questions, question("new one")])
    assert [r.subject for r in again.backend.asked] == ["new one"]  # type: ignore[attr-defined]
    assert again.usage.cached_tokens == first.usage.prompt_tokens + first.usage.completion_tokens
    assert [o.cached for o in outcomes] == [True] * 40 + [False]
    assert (again.usage.asked, again.usage.cached) == (1, 40)


def test_nothing_new_starts_no_engine(client: MakeAsker) -> None:
    client(FixtureBackend(number)).ask([question("a")])
    second = FixtureBackend(number)
    client(second).ask([question("a")])
    assert second.engines == []


def test_the_same_question_about_two_subjects_is_asked_once(client: MakeAsker) -> None:
    backend = FixtureBackend(number)
    outcomes = client(backend).ask([question("a", "same"), question("b", "same"), question("c", "same")])
    assert len(backend.asked) == 1
    assert [o.name for o in outcomes] == ["ok"] * 3


def test_one_question_answered_long_before_its_twin_comes_up_is_not_asked_twice(client: MakeAsker) -> None:
    backend = FixtureBackend(lambda request: "no" if request.sampling.seed == 0 else number(request))
    questions = [question("a", "same"), *(question(str(n)) for n in range(30)), question("z", "same")]
    client(backend).ask(questions)
    assert len({r.key for r in backend.asked}) == len(backend.asked)


def test_malformed_replies_are_asked_again_with_other_seeds_and_then_given_up(client: MakeAsker) -> None:
    backend = FixtureBackend(lambda request: "no" if request.sampling.seed < 2 else number(request))
    (outcome,) = client(backend, attempts=3).ask([question("a")])
    assert (outcome.name, outcome.attempts) == ("ok", 3)
    assert [(r.sampling.seed, r.sampling.temperature) for r in backend.asked] == [(0, 0.0), (1, 0.7), (2, 0.7)]
    (outcome,) = client(FixtureBackend(lambda _: "no"), attempts=2).ask([question("b")])
    assert (outcome.name, outcome.attempts, outcome.value) == ("invalid_json", 2, None)


def test_cut_off_replies_get_twice_the_room(client: MakeAsker) -> None:
    rambling = "so " * 30
    backend = FixtureBackend(lambda request: rambling if request.sampling.max_tokens < 40 else number(request))
    (outcome,) = client(backend).ask([question("a")])
    assert outcome.name == "ok"
    assert [r.sampling.max_tokens for r in backend.asked] == [20, 40]


def test_a_rerun_climbs_the_same_ladder_without_asking(client: MakeAsker) -> None:
    broken = client(FixtureBackend(lambda _: "{"), attempts=3)
    first = broken.ask([question("a")])
    second = FixtureBackend(lambda _: "{")
    again = client(second, attempts=3).ask([question("a")])
    assert second.asked == []
    assert (again[0].name, again[0].detail) == (first[0].name, first[0].detail)


def test_what_does_not_fit_is_too_long_and_never_submitted(client: MakeAsker) -> None:
    backend = FixtureBackend(number)
    long = question("long", "word " * 3_000)
    outcomes = client(backend).ask([question("a"), long, question("b")])
    assert [o.name for o in outcomes] == ["ok", "too_long", "ok"]
    assert {r.subject for r in backend.asked} == {"a", "b"}


def test_too_long_is_no_answer_on_record(client: MakeAsker, warehouse: Warehouse) -> None:
    one = client(FixtureBackend(number))
    one.ask([question("long", "word " * 3_000), question("a")])
    one.close()
    assert warehouse.read("llm_calls")["subject_id"].to_pylist() == ["a"]


def test_an_engine_error_is_tried_again_and_stays_off_the_record(client: MakeAsker, warehouse: Warehouse) -> None:
    failing = FixtureBackend(lambda r: Answer(r.key, "", "error", 0, 0, "503"))
    one = client(failing, attempts=3, max_engine_errors=1.0)
    (outcome,) = one.ask([question("a")])
    one.close()
    assert (outcome.name, outcome.detail, len(failing.asked)) == ("engine_error", "503", 3)
    assert warehouse.read("llm_calls").num_rows == 0
    (outcome,) = client(FixtureBackend(number)).ask([question("a")])
    assert (outcome.name, outcome.cached) == ("ok", False)


def test_too_many_engine_errors_fail_the_task_and_keep_what_was_answered(client: MakeAsker) -> None:
    def every_other(request: Request) -> str | Answer:
        return number(request) if int(request.subject) % 2 else Answer(request.key, "", "error", 0, 0, "503")

    questions = [question(str(n)) for n in range(10)]
    failing = FixtureBackend(every_other)
    with pytest.raises(PipelineError, match=r"4 of 10 requests .* 503"):
        client(failing, attempts=1).ask(questions)
    answered = {int(request.subject) for request in failing.asked if int(request.subject) % 2}
    answered -= {int(request.subject) for request in failing.engines[0].open}
    after = FixtureBackend(number)
    client(after).ask(questions)
    assert {int(request.subject) for request in after.asked} == set(range(10)) - answered


def test_a_server_that_is_gone_is_given_up_long_before_every_request_has_waited_for_it(client: MakeAsker) -> None:
    gone = FixtureBackend(lambda r: Answer(r.key, "", "error", 0, 0, "no connection"))
    with pytest.raises(PipelineError, match=r"no connection"):
        client(gone, attempts=1).ask([question(str(n)) for n in range(100)])
    assert len(gone.asked) <= 10


def test_a_dead_engine_is_replaced_and_only_open_requests_are_repeated(client: MakeAsker) -> None:
    backend = FixtureBackend(number, life=8)
    outcomes = client(backend, engine_restarts=9).ask([question(str(n)) for n in range(20)])
    assert [o.name for o in outcomes] == ["ok"] * 20
    assert len(backend.engines) > 1
    assert all(engine.closed for engine in backend.engines[:-1])
    repeated = len(backend.asked) - 20
    assert 0 < repeated <= 5 * (len(backend.engines) - 1)  # at most what was under way


def test_an_engine_that_keeps_dying_fails_the_task(client: MakeAsker) -> None:
    backend = FixtureBackend(number, life=0)
    backend.lives = 0
    with pytest.raises(PipelineError, match="engine_restarts"):
        client(backend, engine_restarts=2).ask([question("a")])
    assert len(backend.engines) == 3


def test_a_reply_that_contradicts_itself_is_a_label_conflict(client: MakeAsker) -> None:
    asked = replace(question("a"), check=lambda reply: "odd" if "3" in str(reply) else "")
    (outcome,) = client(FixtureBackend(lambda _: '{"number": 3}'), attempts=1).ask([asked])
    assert (outcome.name, outcome.detail) == ("label_conflict", "odd")


def test_requests_of_one_grammar_lie_together(client: MakeAsker) -> None:
    backend = FixtureBackend(number)
    schemas = [{"n": n % 3} for n in range(12)]
    client(backend).ask(
        [PromptRequest(replace(question(str(n)).request, schema=schema), Number) for n, schema in enumerate(schemas)]
    )
    order = [r.schema["n"] for r in backend.asked]
    assert order == sorted(order)


def test_unanswered_are_all_subjects_an_engine_is_needed_for(client: MakeAsker) -> None:
    first = client(FixtureBackend(lambda r: "no" if r.subject == "broken" else number(r)), attempts=1)
    first.ask([question("known"), question("broken")])
    first.close()
    again = client(FixtureBackend(number), attempts=2)
    # Two with the same words are one request, and both wait for its answer.
    asked = [question(name) for name in ("known", "broken")] + [question(name, "the same") for name in ("a", "b")]
    open_ = again.open_requests(asked)
    assert {request.subject for request in open_} == {"broken", "a", "b"}
    assert len({request.key for request in open_}) == 2
    assert again.open_requests(asked[:1]) == []
