"""Mutants of the engine and of masking: leases, outages, outcomes, secrets."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

ENGINE = "hsejobs/engine"
PROMISES = "engine/test_promises.py"
CALM = ("engine/test_calm.py",)
DUTIES = ("engine/test_duties.py",)
LEAK = (f"{PROMISES}::test_no_secret_leaves_through_result_log_or_progress",)


def engine(what: str, name: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant(what, f"{ENGINE}/{name}.py", old, new, tests)


def masking(what: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant(what, "hsejobs/masking.py", old, new, tests)


MUTANTS = (
    engine(
        "no calm after an outage",
        "calm",
        """may have expired.\"""\n        self.answered = 0""",
        """may have expired.\"""\n        pass""",
        *CALM,
    ),
    engine(
        "no calm after a start",
        "calm",
        "min(away, RENEWED_WITHIN)",
        "0.0",
        f"{PROMISES}::test_a_start_takes_nothing_for_stalled_at_first",
    ),
    engine(
        "leases that ended in a silence are taken at once",
        "calm",
        "return self.answered if",
        "return 2**53 if",
        *CALM,
    ),
    engine(
        "a consumer that was frozen takes what it finds",
        "calm",
        "max(now - began, (redis_ms - self.answered) / 1000 - SWEEP_EVERY)",
        "now - began",
        *CALM,
    ),
    engine(
        "a dead process's job waits for its lease",
        "workers",
        "self.maintenance.stalled(running.id, running.token)",
        "pass",
        f"{PROMISES}::test_a_process_that_dies_is_seen_at_once",
    ),
    engine(
        "a restarted consumer never sees the stop that came in between",
        "restart",
        "signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD)",
        "pass",
        "engine/test_restart.py::test_a_stop_at_the_last_moment_reaches_the_new_program",
    ),
    Mutant(
        "a suspension counts as freezing",
        "hsejobs_cli/running.py",
        "min(now - self._looked, LOOK_LIMIT)",
        "now - self._looked",
        ("cli/test_supervisor.py::test_a_frozen_consumer_is_replaced_but_not_after_a_suspension",),
    ),
    Mutant(
        "what left its session outlives its consumer",
        "hsejobs_cli/orphans.py",
        "(one.session == session or _has_mark(one.pid, mark))",
        "one.session == session",
        ("cli/test_supervisor.py::test_process_1_of_a_container_leaves_no_zombie",),
    ),
    Mutant(
        "a signal reaches whatever has the id of a process that ended",
        "hsejobs/process_tree.py",
        "again is not None and again.identity == one.identity",
        "again is not None",
        ("test_process_tree.py::test_only_the_process_that_was_read_gets_the_signal",),
    ),
    engine(
        "a worker that has ended its work counts as killed",
        "guard",
        "                if self.code is None:\n                    code",
        "                if True:\n                    code",
        "engine/test_guard.py::test_the_code_tells_how_the_worker_ended",
    ),
    engine(
        "a job is blamed for the memory of another",
        "memory",
        "self._rose_at, self._suspects = now, self._running",
        "self._rose_at, self._suspects = now, set()",
        "engine/test_memory.py::test_a_rise_explains_what_it_can_only_be",
    ),
    engine(
        "a process whose lease is lost goes on",
        "maintenance",
        "self.consumer.lease_lost(slot, running, now)",
        "pass",
        "engine/test_programs.py::test_nothing_outlives_its_job",
    ),
    engine(
        "a worker that dies during a stop keeps its job",
        "workers",
        "            for worker, process in ended:\n                self._reap(worker, process)",
        "            pass",
        "engine/test_cancel.py::test_a_worker_that_dies_while_its_consumer_stops_keeps_no_job",
    ),
    engine(
        "a refused renewal is marked nowhere",
        "maintenance",
        "slot.mark_lost(*job)",
        "False",
        f"{PROMISES}::test_a_refused_renewal_is_known_to_the_job",
    ),
    engine(
        "check() asks nothing after a freeze",
        "context",
        'self._mark("", put=False)',
        "pass",
        f"{PROMISES}::test_check_asks_after_a_third_of_a_lease",
    ),
    engine(
        "a secret stays in a result",
        "context",
        "return codec.dumps(scrub_data(codec.loads(text), secrets))",
        "return text",
        *LEAK,
    ),
    engine("a secret stays in log lines", "context", "self._scrub(str(line))", "str(line)", *LEAK),
    engine(
        "a secret stays in progress",
        "context",
        'self._scrub((message or "")[:200])',
        '(message or "")[:200]',
        *LEAK,
    ),
    engine(
        "a secret stays in an error",
        "outcome",
        "return plain(scrub(text, job.secrets))[:2000]",
        "return plain(text)[:2000]",
        "engine/test_outcomes.py::test_each_ending",
    ),
    engine(
        "a secret stays in a traceback",
        "outcome",
        'plain(scrub("".join(shown), secrets))',
        'plain("".join(shown))',
        "engine/test_outcomes.py::test_each_ending",
    ),
    engine(
        "an unrecoverable error is tried again",
        "outcome",
        "final = isinstance(error, Unrecoverable) or",
        "final =",
        "engine/test_outcomes.py::test_each_ending",
    ),
    engine(
        "Redis being away fails the job",
        "outcome",
        "if isinstance(error, RedisUnavailable):",
        "if False:",
        f"{PROMISES}::test_a_job_that_needed_redis_and_did_not_get_it_uses_no_attempt",
    ),
    engine(
        "retry_after is not waited for",
        "outcome",
        "failed.delay = int(",
        "ignored = int(",
        "engine/test_outcomes.py::test_a_retry_comes_no_sooner_than_was_asked",
    ),
    engine(
        "a postponing has no end",
        "outcome",
        "limit=None if error.limit is None else int(error.limit * 1000)",
        "limit=None",
        "engine/test_outcomes.py::test_postponing_can_have_an_end",
    ),
    engine(
        "a timeout is not noticed",
        "maintenance",
        "if running.deadline and now >= running.deadline and not slot.abandoned:",
        "if False:",
        "engine/test_outcomes.py::test_a_timeout_ends_a_job_that_does_not_yield",
    ),
    engine(
        "hung threads restart nothing",
        "workers",
        "if hung and hung >= self.workers:",
        "if False:",
        "engine/test_outcomes.py::test_as_many_hung_threads_as_workers_restart_the_consumer",
    ),
    engine(
        "a fault ends the other duties",
        "duties",
        "except Exception as error:  # a failing duty must not end the others",
        "except RedisRefused as error:",
        *DUTIES,
    ),
    engine(
        "a fault is tried as often as ever",
        "duties",
        "RETRY_AFTER * 2**self.failures)",
        "RETRY_AFTER)",
        *DUTIES,
    ),
    engine(
        "pending writes are dropped in an outage",
        "duties",
        "            except RedisUnavailable:\n                for each",
        "            except ZeroDivisionError:\n                for each",
        *DUTIES,
    ),
    engine(
        "one look ends an outage for all",
        "outage",
        "if self._refused or self._since is None:",
        "if self._since is None:",
        *DUTIES,
    ),
    engine(
        "a 5 ms job is claimed with others",
        "pace",
        "int(BUDGET_US / max(each, 1.0))",
        "MOST",
        "engine/test_pace.py",
    ),
    engine(
        "once() is true each time",
        "context",
        'return self._mark(f"o:{key}", put=True)',
        'self._mark(f"o:{key}", put=True)\n        return True',
        "engine/test_outcomes.py::test_each_ending",
    ),
    engine(
        "a hook before a job is not called",
        "executing",
        "            and not self._pre_execute\n",
        "",
        "engine/test_executing.py",
    ),
    engine(
        "a hook after a job is not called",
        "executing",
        "            and not self._post_execute\n",
        "",
        "engine/test_executing.py",
    ),
    engine(
        "one signal's receiver hears nothing",
        "executing",
        "(receivers == _NO_RECEIVERS or not any(map(receivers.get, _HEAR)))",
        "not receivers['any']",
        "engine/test_executing.py",
    ),
    engine(
        "a revoked job runs",
        "executing",
        "            and not claim.revoked\n",
        "",
        "engine/test_executing.py",
    ),
    engine(
        "a traceback has a line of the engine's own",
        "executing",
        "            error.__traceback__ = raised_at\n",
        "            pass\n",
        "engine/test_executing.py",
    ),
    masking(
        "a secret name is shown",
        "return _BY_NAME.fullmatch(name) is not None",
        "return False",
        "test_masking.py",
    ),
    masking(
        "a sealed value is shown",
        "        if SEALED in data:\n            return MASK\n",
        "",
        "test_masking.py",
    ),
    masking(
        "what a model calls secret is shown",
        "hidden = there in paths or is_secret_name(str(name))\n            if hidden",
        "hidden = is_secret_name(str(name))\n            if hidden",
        "test_masking.py",
    ),
    masking(
        "too many secrets are looked for one by one",
        "return len(secrets) > _ALWAYS and len(secrets) * (size + 50) > _CHARACTERS",
        "return False",
        "test_masking.py",
    ),
    masking(
        "a secret in quotes is not found",
        "    found |= {\n        json.dumps(text, ensure_ascii=escaped)[1:-1]",
        "    _ = {\n        json.dumps(text, ensure_ascii=escaped)[1:-1]",
        "test_masking.py",
    ),
    masking(
        "a secret in a list is not found",
        "                    self.collect(value, here, found)",
        "                    pass",
        "test_masking.py",
    ),
    masking(
        "the shortcut takes a path for harmless",
        "name in self._ends or is_secret_name(name)",
        "is_secret_name(name)",
        "test_masking.py",
    ),
    masking(
        "the shortcut takes a secret name for harmless",
        "name in self._ends or is_secret_name(name)",
        "name in self._ends",
        "test_masking.py",
    ),
    masking(
        "a path of the model is forgotten",
        "(there in self.paths or is_secret_name(str(name)))",
        "is_secret_name(str(name))",
        "test_masking.py",
    ),
    masking(
        "the shortcut does not look into lists",
        "if value.__class__ not in _LEAVES and self.possible(value, depth + 1):",
        "if value.__class__ is dict and self.possible(value):",
        "test_masking.py",
    ),
    masking(
        "a secret that begins another is taken first",
        "key=len, reverse=True)",
        "key=len)",
        "test_masking.py",
    ),
    masking(
        "a secret in a key stays",
        "{scrub(str(k), secrets): _scrubbed",
        "{str(k): _scrubbed",
        "test_masking.py",
    ),
)
