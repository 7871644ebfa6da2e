"""Every sentence of docs/guarantees.md is proved by tests, which are named here and exist.

A sentence is identified by its beginning. To add a sentence, or to change its beginning, name
its tests here.
"""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "guarantees.md"

LOSS, PROMISES = "engine/test_loss.py", "engine/test_promises.py"
SCRIPTS, ACTS, AGAIN = "store/test_promises.py", "store/test_acts.py", "store/test_sent_again.py"
MATRIX, REPLIES = "matrix/test_matrix.py", "store/test_replies.py"
OVERLAP = "engine/test_overlap.py"
LOCKS = "engine/test_locks.py"
SHARES = "store/test_fair_shares.py"
CHECKPOINTS = "engine/test_checkpoints.py"
ENDINGS, LIFE = "engine/test_outcomes.py", "store/test_life.py"
MAIL, HOOKS = "services/test_mail_delivery.py", "webhooks/test_delivery.py"
CANCEL = "engine/test_cancel.py"
DOCTOR = "cli/test_doctor.py::test_doctor_runs_every_check"
SIMULATOR = "simulator/test_simulator.py::test_no_invariant_is_violated"
LATE = f"{SCRIPTS}::test_an_outcome_that_comes_after_the_next_claim_does_not"
COUNTS = f"{SCRIPTS}::test_a_late_outcome_counts_while_no_other_worker_has_the_job"

#: How a sentence begins, and what proves it.
PROOFS: dict[str, tuple[str, ...]] = {
    "An accepted job is never lost.": (SIMULATOR, f"{LOSS}::test_kill_nine"),
    "From the moment `add` has returned": (
        "store/test_machine.py::test_any_life",
        f"{LIFE}::test_what_was_seen_is_the_table",
    ),
    "A claim does not remove it from Redis": (
        f"{ACTS}::test_stalls_end",
        f"{ACTS}::test_order_is_priority_then_arrival_also_after_a_release",
    ),
    "A cancelled job does not complete.": (f"{CANCEL}::test_a_running_job_ends", SIMULATOR),
    "From the moment a cancel is accepted": (
        f"{CANCEL}::test_whenever_it_comes_no_job_completes_after_it",
        f"{CANCEL}::test_its_killed_consumer_does_not_save_it",
        "store/test_cancel.py::test_whatever_its_worker_reports_it_fails",
    ),
    "What its task did before stays done.": (f"{CANCEL}::test_what_was_marked_stays_marked",),
    "No organization waits for the backlog of another one.": (
        "store/test_turns.py::test_any_history_of_sharing",
    ),
    "Inside one priority, organizations with waiting jobs": (
        f"{SHARES}::test_one_after_another_the_difference_is_at_most_one_job_of_each",
        f"{SHARES}::test_a_tenant_that_comes_back_has_no_credit",
        f"{SHARES}::test_a_claim_costs_the_same_with_many_tenants",
    ),
    "Limits hold over all consumers": (
        "store/test_turns.py::test_any_history_of_sharing",
        f"{SHARES}::test_a_rate_holds_in_every_window_also_when_it_is_lowered",
        "engine/test_key_limits.py::test_a_limit_holds_and_holds_up_no_other_key",
        "engine/test_key_limits.py::test_a_rate_holds_in_every_window",
    ),
    "A killed worker's share is free again": (
        f"{SHARES}::test_a_killed_worker_frees_the_share_of_its_tenant",
        "engine/test_key_limits.py::test_a_killed_consumer_gives_its_slots_back",
    ),
    "At least once.": (f"{LOSS}::test_kill_nine",),
    "A job runs once, unless its worker is killed": (
        f"{LOSS}::test_kill_nine",
        f"{LOSS}::test_a_late_result_is_refused",
        f"{MATRIX}::test_work_continues_through_each_failure",
    ),
    "On SIGTERM and SIGINT, a consumer releases": (
        f"{LOSS}::test_terminated_consumers_run_nothing_twice",
        f"{LOSS}::test_after_the_grace_period_the_rest_is_handed_back",
        f"{OVERLAP}::test_a_stopped_drain_runs_nothing_twice",
    ),
    "No job waits behind a long one.": (
        f"{OVERLAP}::test_a_long_job_in_front_holds_up_nothing_while_a_worker_is_idle",
    ),
    "A worker claims jobs beforehand only while": (
        f"{OVERLAP}::test_jobs_claimed_one_at_a_time_are_not_claimed_ahead",
    ),
    "When a job runs for longer than 10 ms": (
        f"{OVERLAP}::test_a_long_job_keeps_no_batch_behind_it",
        f"{LOSS}::test_a_slow_job_gives_back_what_was_claimed_with_it",
    ),
    "One result.": (LATE,),
    "Every claim has a new token": (LATE, f"{ACTS}::test_a_stale_token_writes_nothing"),
    "A worker that has lost its job to another cannot write": (
        LATE,
        f"{LOSS}::test_a_late_result_is_refused",
        f"{PROMISES}::test_a_refused_renewal_is_known_to_the_job",
        f"{PROMISES}::test_check_asks_after_a_third_of_a_lease",
    ),
    "A late outcome with a valid token counts.": (COUNTS,),
    "If a lease has expired but no other worker": (COUNTS,),
    "After an outage of Redis, and after its own start": (
        f"{PROMISES}::test_a_start_takes_nothing_for_stalled_at_first",
        f"{PROMISES}::test_an_outage_leaves_the_holders_time_to_renew",
    ),
    "However short Redis was silent, a lease that ended": (
        f"{AGAIN}::test_a_sweep_takes_no_lease_that_ended_after_the_one_before",
        f"{ACTS}::test_a_sweep_that_was_under_way_through_an_outage_takes_no_lease",
        "engine/test_calm.py::test_a_lease_that_ended_since_the_last_answer_is_looked_at_again",
    ),
    "Whatever Redis answers, no outcome is dropped.": (
        f"{MATRIX}::test_work_continues_through_each_failure",
        "engine/test_duties.py::test_what_is_owed_is_kept_until_it_is_written",
    ),
    "A Redis that is unreachable, loading": (
        f"{MATRIX}::test_work_continues_through_each_failure",
        "matrix/test_topologies.py::test_a_fail_over_by_sentinel",
    ),
    "Outcomes are written, or retried until": (
        f"{MATRIX}::test_work_continues_through_each_failure",
        f"{REPLIES}::test_outcomes_and_the_ways_out_work_on_a_full_server",
    ),
    "Progress, log lines and checkpoints": (
        f"{MATRIX}::test_work_continues_through_each_failure",
        f"{CHECKPOINTS}::test_an_outage_delays_a_checkpoint_and_raises_nothing",
    ),
    "`once()`, `mark_done()`, `check()` and adds": (
        f"{MATRIX}::test_work_continues_through_each_failure",
        f"{PROMISES}::test_a_job_waits_for_redis_until_its_deadline_and_then_timed_out",
    ),
    "A job that needs Redis for anything else": (
        f"{PROMISES}::test_a_job_that_needed_redis_and_did_not_get_it_uses_no_attempt",
    ),
    "The newest checkpoint counts.": (
        f"{CHECKPOINTS}::test_each_ending_keeps_the_checkpoint_and_the_end_deletes_it",
    ),
    "`resumed_from` is the newest value": (
        f"{CHECKPOINTS}::test_an_attempt_continues_where_the_last_one_got_to",
        f"{CHECKPOINTS}::test_only_the_holder_stores_it",
    ),
    "An export that was killed continues.": (
        "exports/test_jobs.py::test_killed_half_way_and_recovered",
    ),
    "The next attempt at an export, or at a report": (
        "exports/test_resumed.py::test_the_same_bytes_from_any_place",
        "exports/test_resumed.py::test_each_statement_reads_only_what_is_left",
        "reports/test_resumed.py::test_the_same_bytes_from_any_place",
    ),
    "Reads work on a full and on a read-only Redis": (
        f"{REPLIES}::test_looking_works_on_a_read_only_and_on_a_full_server",
        "http/test_refusing_redis.py::test_reads_work_when_writes_are_refused",
        "store/test_permissions.py::test_a_full_and_a_read_only_server_allow_as_much",
    ),
    "A script does all of its work or none.": (
        f"{REPLIES}::test_without_one_right_no_script_does_half",
        f"{REPLIES}::test_an_add_is_taken_or_not_and_never_halved",
    ),
    "Before its first write, it checks": (
        f"{REPLIES}::test_without_one_right_no_script_does_half",
        f"{REPLIES}::test_an_add_is_taken_or_not_and_never_halved",
    ),
    "The same id is the same job.": (f"{ENDINGS}::test_each_ending",),
    "An add with an id that exists": (
        f"{ENDINGS}::test_each_ending",
        "store/test_machine.py::test_any_life",
    ),
    "A retried add (lost reply)": ("engine/test_cuts.py::test_a_cut_reply_to_an_add",),
    "Clients may retry every script": (
        "engine/test_cuts.py::test_cut_replies_to_claims_and_finishes",
        f"{AGAIN}::test_a_mark_that_is_asked_for_again_is_still_granted",
        "store/test_machine.py::test_any_life",
    ),
    "A job that kills its workers": (
        f"{ENDINGS}::test_a_job_that_kills_its_worker_fails_alone",
        f"{PROMISES}::test_a_process_that_dies_is_seen_at_once",
    ),
    "It is claimed alone after the first one": (
        f"{ACTS}::test_a_stalled_job_is_claimed_alone",
        "engine/test_poison.py::test_a_suspect_runs_beside_nothing",
    ),
    "Jobs that merely ran beside it": (
        "engine/test_poison.py::test_a_poison_job_fails_alone",
        f"{ACTS}::test_stalls_end",
    ),
    "A lock goes to the next in line.": (
        f"{LOCKS}::test_three_hundred_jobs_take_the_time_of_their_work",
    ),
    "When a holder ends, in whatever way": (
        f"{LIFE}::test_what_was_seen_is_the_table",
        f"{LOCKS}::test_a_killed_holder_hands_over",
    ),
    "Timeouts are enforced.": (f"{ENDINGS}::test_a_timeout_ends_a_job_that_does_not_yield",),
    "A process that does not end its job is killed.": (
        f"{PROMISES}::test_a_process_that_does_not_yield_is_killed",
    ),
    "A thread cannot be killed": (
        f"{ENDINGS}::test_a_timeout_ends_a_job_that_does_not_yield",
        f"{ENDINGS}::test_short_timeouts_do_not_count_as_hung_threads",
        f"{ENDINGS}::test_as_many_hung_threads_as_workers_restart_the_consumer",
    ),
    "A periodic task runs once per slot": (
        f"{LIFE}::test_what_was_seen_is_the_table",
        "schedules/test_weekly.py::test_a_missed_sunday_is_made_up_once",
    ),
    "Short jobs may run again after `kill -9`.": (SIMULATOR,),
    "While jobs take far less than 2 ms": (
        "engine/test_pace.py::test_the_longest_of_the_recent_times_their_number_stays_in_the_budget",
    ),
    "After a `kill -9` of the consumer": (
        "engine/test_slots.py::test_an_outcome_that_only_its_worker_knew_is_named_when_the_worker_died",
        SIMULATOR,
    ),
    "A 5 ms job is claimed and finished alone.": (
        "engine/test_pace.py::test_a_job_of_2_ms_or_more_is_claimed_alone",
        f"{LOSS}::test_kill_nine",
    ),
    "A mail can be sent twice": (
        "services/test_mail_deadline.py::test_a_broken_connection_is_temporary",
    ),
    "The second mail has the same Message-ID.": (
        "services/test_mail_message.py::test_the_message_id_is_a_hash_of_the_job_in_the_senders_domain",
    ),
    "A recipient whose acceptance was recorded": (
        f"{MAIL}::test_who_has_the_mail_is_not_called_again",
        f"{MAIL}::test_a_retry_goes_to_those_who_lack_it",
    ),
    "A webhook can be called twice": (
        f"{HOOKS}::test_a_worker_that_dies_before_it_records_the_call_makes_it_again",
    ),
    "Both calls have the same `X-Webhook-Id`.": (
        f"{HOOKS}::test_a_worker_that_dies_before_it_records_the_call_makes_it_again",
        f"{HOOKS}::test_every_attempt_has_the_same_id_and_its_own_time",
    ),
    "Data that Redis loses is lost.": (f"{LOSS}::test_redis_back_empty_knows_the_queue_again",),
    "With `appendfsync everysec`": (
        "test_support.py::test_a_killed_server_keeps_its_data_when_append_only",
        DOCTOR,
    ),
    "In a failover, writes that no replica had": (
        f"{SCRIPTS}::test_an_add_that_no_replica_confirms_raises",
        "store/test_deployed.py::test_jobs_over_tls_as_the_least_user",
        "cli/test_doctor_redis.py::test_a_replica_and_missing_replicas",
    ),
    "[Redis in the field]": ("test_guarantees.py::test_its_links_lead_somewhere",),
    "Eviction loses jobs.": (f"{SCRIPTS}::test_a_server_that_evicts_loses_jobs",),
    "The platform's first document names": (f"{SCRIPTS}::test_a_server_that_evicts_loses_jobs",),
    "Use `noeviction`": (
        f"{REPLIES}::test_outcomes_and_the_ways_out_work_on_a_full_server",
        "http/test_refusing_redis.py::test_adds_are_refused_by_503_and_exit_3",
    ),
    "`hsejobs doctor` reports other policies.": (DOCTOR,),
    "`attempts` counts all attempts, including the first.": (f"{ENDINGS}::test_each_ending",),
    "The delay before attempt n+1": ("store/test_numbers.py::test_the_backoff",),
    "The base is the queue's own": (
        "engine/test_adding.py::test_a_decorator_takes_precedence_over_the_queue_but_not_the_variables",
    ),
}


def sentences(text: str) -> list[str]:
    """The page's sentences below its first title, without headings and marks."""
    found: list[str] = []
    for line in text.partition("\n## ")[2].splitlines()[1:]:
        if line and not line.startswith(("#", "<!--")):
            plain = line.removeprefix("- ").replace("**", "")
            found += re.split(r"(?<=[.!?])\s+(?=[A-Z`\[])", plain)
    return found


def test_every_sentence_has_its_proof() -> None:
    page = sentences(PAGE.read_text())
    assert len(page) > 40
    without = [one for one in page if not any(one.startswith(start) for start in PROOFS)]
    assert without == []
    # A beginning that matches no sentence any more, or two.
    numbers = {start: sum(one.startswith(start) for one in page) for start in PROOFS}
    assert {start: n for start, n in numbers.items() if n != 1} == {}


def test_every_proof_exists() -> None:
    missing = []
    for start, tests in PROOFS.items():
        assert tests, start
        for test in tests:
            file, _, name = test.partition("::")
            path = TESTS / file
            if not path.is_file() or f"def {name}(" not in path.read_text():
                missing.append(test)
    assert missing == []


def test_a_new_sentence_is_noticed() -> None:
    text = PAGE.read_text() + "\n- **Jobs are fast.** They take no time.\n"
    new = [one for one in sentences(text) if not any(one.startswith(s) for s in PROOFS)]
    assert new == ["Jobs are fast.", "They take no time."]


def test_its_links_lead_somewhere() -> None:
    links = re.findall(r"\]\((\w[^)#]*)(?:#([^)]*))?\)", PAGE.read_text())
    assert links
    for file, anchor in links:
        text = (PAGE.parent / file).read_text()
        titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
        slugs = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
        assert not anchor or anchor in slugs
