"""The queue of jobs: one worker at a time, and nothing lost when one dies."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from fhir_server.store.jobs import ATTEMPTS, Job, Jobs, LeaseLost
from fhir_server.store.records import Store

KIND = "export"


@pytest.fixture
def jobs(store: Store) -> Jobs:
    return Jobs(store.database)


def claimed(jobs: Jobs, *, lease_seconds: float = 60) -> Job:
    job = jobs.claim([KIND], lease_seconds=lease_seconds)
    assert job is not None
    return job


def state(jobs: Jobs, job: Job) -> Job:
    found = jobs.get(job.id, job.kind, job.actor)
    assert found is not None
    return found


def test_jobs_are_claimed_in_the_order_they_came_and_each_once(jobs: Jobs) -> None:
    first, second = (jobs.submit(KIND, "open", {"number": number}) for number in (1, 2))
    assert [claimed(jobs).id, claimed(jobs).id] == [first.id, second.id]
    assert jobs.claim([KIND]) is None


def test_only_jobs_of_the_kinds_a_worker_knows_are_given_to_it(jobs: Jobs) -> None:
    jobs.submit("import", "open", {})
    assert jobs.claim([KIND]) is None
    assert claimed_kind(jobs) == "import"


def claimed_kind(jobs: Jobs) -> str:
    job = jobs.claim([KIND, "import"])
    assert job is not None
    return job.kind


def test_what_was_asked_is_kept_as_it_is_even_where_it_looks_like_an_expression(jobs: Jobs) -> None:
    order = {"query": "$NOW", "nested": {"$literal": ["$x"]}}
    assert state(jobs, jobs.submit(KIND, "open", order)).order == order


def test_ids_cannot_be_guessed_and_are_good_for_who_asked_only(jobs: Jobs) -> None:
    job = jobs.submit(KIND, "client:a", {})
    assert len(bytes.fromhex(job.id)) == 16
    assert jobs.get(job.id, KIND, "client:b") is None
    assert jobs.get(job.id, "import", "client:a") is None


def test_a_job_whose_worker_died_is_taken_up_where_it_stopped(jobs: Jobs) -> None:
    jobs.submit(KIND, "open", {})
    dead = claimed(jobs)
    jobs.renew(dead, {"behind": "p9"}, lease_seconds=0)
    again = claimed(jobs)
    assert (again.id, again.attempt, again.progress) == (dead.id, 2, {"behind": "p9"})


@pytest.mark.parametrize(
    "step",
    [
        lambda jobs, job: jobs.renew(job, {"behind": "p1"}),
        lambda jobs, job: jobs.finish(job, {"lines": 1}),
        lambda jobs, job: jobs.fail(job, "no"),
    ],
    ids=["renew", "finish", "fail"],
)
def test_a_worker_whose_job_was_taken_over_changes_nothing_any_more(
    jobs: Jobs, step: Callable[[Jobs, Job], None]
) -> None:
    jobs.submit(KIND, "open", {})
    late = claimed(jobs, lease_seconds=0)
    holder = claimed(jobs)
    with pytest.raises(LeaseLost):
        step(jobs, late)
    assert state(jobs, holder) == holder


def test_what_a_step_wrote_goes_with_the_lease_it_was_written_under(jobs: Jobs, store: Store) -> None:
    jobs.submit(KIND, "open", {})
    late = claimed(jobs, lease_seconds=0)
    claimed(jobs)

    def work(session: object) -> None:
        store.database["written"].insert_one({"_id": 1}, session=session)  # type: ignore[arg-type]
        jobs.renew(late, {"behind": "p1"}, session=session)  # type: ignore[arg-type]

    with pytest.raises(LeaseLost):
        store.transact(work)
    assert store.database["written"].count_documents({}) == 0


def test_a_job_that_ends_its_workers_is_failed_and_not_taken_up_for_ever(jobs: Jobs) -> None:
    job = jobs.submit(KIND, "open", {})
    for attempt in range(1, ATTEMPTS + 1):
        assert claimed(jobs, lease_seconds=0).attempt == attempt
    assert jobs.claim([KIND]) is None
    assert state(jobs, job).state == "failed"
    assert "taken up several times" in state(jobs, job).error


def test_a_released_job_is_claimed_again_without_counting_as_a_death(jobs: Jobs) -> None:
    jobs.submit(KIND, "open", {})
    jobs.release(claimed(jobs))
    assert claimed(jobs).attempt == 1


def test_a_cancelled_job_is_cancelled_for_its_worker_too(jobs: Jobs) -> None:
    job = jobs.submit(KIND, "open", {})
    held = claimed(jobs)
    assert jobs.cancel(job.id) is True
    with pytest.raises(LeaseLost):
        jobs.renew(held)
    assert jobs.cancel(job.id) is False
    assert state(jobs, job).state == "cancelled"
    assert jobs.claim([KIND]) is None


def test_the_result_of_a_job_is_kept_until_the_job_is_removed(jobs: Jobs) -> None:
    done, running = jobs.submit(KIND, "open", {}), jobs.submit(KIND, "open", {})
    jobs.finish(claimed(jobs), {"lines": 3})
    claimed(jobs)
    assert (state(jobs, done).state, state(jobs, done).result) == ("done", {"lines": 3})
    assert jobs.unfinished(KIND, 10) == 1
    later = datetime.now(UTC) + timedelta(days=1)
    assert jobs.ended_before(KIND, later, 10) == [done.id]
    jobs.remove(done.id)
    jobs.remove(running.id)
    assert jobs.get(done.id, KIND, "open") is None
    assert state(jobs, running).state == "running"
