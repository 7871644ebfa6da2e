"""Mutants of the scripts and the store: states, tokens, order, tenants, limits."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

LUA = "hsejobs/store/lua"
ACTS = ("store/test_acts.py",)
ASKED = ("store/test_asked.py",)
PROMISES = ("store/test_promises.py",)
AGAIN = ("store/test_sent_again.py",)
LIFE = ("store/test_life.py",)
CANCEL = ("store/test_cancel.py",)
HELD = ("store/test_held.py",)
FIRST = ("store/test_first_parts.py",)


def lua(what: str, name: str, old: str, new: str, tests: tuple[str, ...] = ACTS) -> Mutant:
    return Mutant(what, f"{LUA}/{name}.lua", old, new, tests)


MUTANTS = (
    lua(
        "a cancelled job completes",
        "complete",
        "if job[4] and job[2]",
        "if job[9] and job[2]",
        CANCEL,
    ),
    lua("a cancelled job is put back", "release", "if job[7] then", "if job[9] then", CANCEL),
    lua("a cancelled job stalls", "lib/stall", "if job[9] then", "if job[10] then", CANCEL),
    lua(
        "a cancelled job is claimed", "lib/claim", "== 'w' and job[15] then", "== 'x' then", CANCEL
    ),
    lua(
        "a held task is claimed",
        "lib/claim",
        "and share()[TASKS] and put_aside",
        "and false and put_aside",
        HELD,
    ),
    lua("jobs do not come back", "lib/claim", "share()[TASKS] then set_back()", "false then", HELD),
    lua(
        "a new job passes those that are aside",
        "lib/held",
        "if not first[1] or",
        "if true or",
        HELD,
    ),
    lua("a lock is kept for a held job", "lib/held", "  free_locks(id, nil, job[2])\n", "", HELD),
    lua("a removed job stays aside", "lib/delete", "    leave_aside(id, job[4] or '')\n", "", HELD),
    lua("a member cancels everybody's", "cancel", "if owner ~= '' and job[3]", "if job[9]", CANCEL),
    lua("fail takes any token", "fail", "if job[2] ~= token then", "if not job[2] then"),
    lua(
        "fail is never final by attempts",
        "fail",
        "local final = ARGV[3] == '1' or made >= whole(job[5], 1)",
        "local final = ARGV[3] == '1'",
        PROMISES,
    ),
    lua(
        "errors are kept without end",
        "fail",
        "redis.call('LTRIM', base .. K.errors .. id, -kept, -1)\n",
        "",
        PROMISES,
    ),
    lua("the oldest errors are kept", "fail", "-kept, -1)", "0, kept - 1)", PROMISES),
    lua("complete takes any token", "complete", "job[2] ~= its_token or", "not job[2] or"),
    lua(
        "a late claim takes jobs",
        "lib/claim",
        "  if special and is_late(token, again) then return {} end\n",
        "",
        AGAIN,
    ),
    lua(
        "a claim that is sent again renews no lease",
        "complete",
        "put_in('a', job[6], int(now_ms + lease_ms), id)\n      claimed",
        "claimed",
        AGAIN,
    ),
    lua(
        "a claim that leaves jobs wakes no worker",
        "lib/claim",
        "  ring_for_more(turns, more)\n",
        "",
        PROMISES,
    ),
    lua(
        "a paused queue is claimed from",
        "lib/claim",
        "if is_paused() then return",
        "if false then return",
        PROMISES,
    ),
    lua(
        "a stalled job is claimed with others",
        "lib/claim",
        "if apart and at > 1 then",
        "if false then",
        PROMISES,
    ),
    lua(
        "a claim counts no attempt",
        "lib/claim",
        "      made = made + 1\n",
        "",
        PROMISES,
    ),
    lua(
        "a claim forgets the tenant's index",
        "lib/claim",
        "redis.call('ZREM', line_of(party), unpack(line))",
        "",
        PROMISES,
    ),
    lua("renew takes any token", "renew", " and job[2] == ARGV[a + 1]", "", AGAIN),
    lua("progress takes any token", "progress", " or job[2] ~= ARGV[2]", ""),
    lua("log takes any token", "log", " or job[2] ~= token then", " then"),
    lua(
        "a log line is written again",
        "log",
        "if new > #ARGV then return 1 end",
        "new = 6",
        PROMISES,
    ),
    lua(
        "a lost reply burns a mark",
        "mark",
        "return job[3] == ARGV[5] and 1 or 0",
        "return 0",
        AGAIN,
    ),
    lua(
        "a postponed job uses an attempt",
        "postpone",
        "within(job[4], 1, 1000000, 1) - 1",
        "within(job[4], 1, 1000000, 1)",
        PROMISES,
    ),
    lua(
        "a released job uses an attempt",
        "release",
        "within(job[4], 1, 1000000, 1) - 1",
        "within(job[4], 1, 1000000, 1)",
        PROMISES,
    ),
    lua(
        "a released job goes to the end",
        "release",
        "local place = place_of(job[5], job[6])",
        "local place = new_place(job[6])",
        PROMISES,
    ),
    lua("stalls never end", "lib/stall", "if stalls > max_stalls and", "if false and"),
    lua("a stall uses an attempt", "lib/stall", "math.max(0, made - 1)", "made", PROMISES),
    lua(
        "a sweep takes what ended after the one before",
        "sweep",
        "if ends > ended_by then",
        "if ends > now_ms then",
        AGAIN,
    ),
    lua(
        "a dead lease is swept as due alone",
        "sweep",
        "'-inf', int(now_ms + 1000),",
        "'-inf', '(0',",
    ),
    lua(
        "the same id makes a second job",
        "lib/add",
        "if not new and redis.call('EXISTS', key) == 1 then",
        "if false then",
        PROMISES,
    ),
    lua("a job of a key passes its limit", "lib/next", "job[15] or job[16])", "job[15])", FIRST),
    lua("a cancelled job completes at once", "lib/done", "not (job[5] or", "not (", FIRST),
    lua(
        "a first part counts nothing",
        "lib/one",
        "'HINCRBY', counters, field, '1'",
        "'GET', ''",
        FIRST,
    ),
    lua(
        "an add that is sent again was there",
        "lib/add",
        "((there[2] or '') == nonce and '1' or '0')",
        "'0'",
        PROMISES,
    ),
    lua(
        "a quota allows one job more",
        "lib/add",
        "if backlog >= quota then",
        "if backlog > quota then",
        ("store/test_quota.py",),
    ),
    lua(
        "a newcomer takes a slot of a rate limit",
        "rate",
        "if ahead < free then",
        "if 0 < free then",
        ("store/test_rates.py",),
    ),
    lua(
        "a rate limit forgets a start too early",
        "rate",
        "'-inf', '(' .. int(now_us - per))",
        "'-inf', '(' .. int(now_us - per / 2))",
        ("store/test_rates.py",),
    ),
    lua(
        "a later slot is served twice",
        "periodic",
        "if last >= slot then",
        "if last > slot then",
        LIFE,
    ),
    lua(
        "the backoff grows without end",
        "lib/backoff",
        "return math.min(delay, longest)",
        "return delay",
        ("store/test_numbers.py",),
    ),
    lua(
        "a priority is not heard",
        "lib/place",
        "within(priority, 1, 5, DEFAULT_PRIORITY) * PRIORITY_SPAN",
        "DEFAULT_PRIORITY * PRIORITY_SPAN",
    ),
    lua("remove takes what runs", "remove", "state == 'a' or (seen ~= '' and", "(seen ~= '' and"),
    lua(
        "remove is of any tenant",
        "remove",
        " or (only ~= '' and org ~= only) then",
        " then",
        PROMISES,
    ),
    lua("remove leaves the log behind", "lib/delete", ", K.logs, K.marks,", ", K.marks,"),
    lua(
        "retry is of any tenant",
        "retry",
        " or (only ~= '' and job[2] ~= only) then",
        " then",
        PROMISES,
    ),
    lua("retry gives no fresh budget", "retry", "'am', '0', ", ""),
    lua(
        "retry takes what came later",
        "retry",
        " or (moment and whole(job[4], 0) > moment) then",
        " then",
        ASKED,
    ),
    lua(
        "an act is not bound to what was seen",
        "lib/asked",
        "return seen == '' or version(id, state) == seen",
        "return true",
        ASKED,
    ),
    lua("clean takes what came later", "clean", " and here_at(id, state, asked)\n", "\n", ASKED),
    lua(
        "obliterate takes what runs without force",
        "obliterate",
        "  if running > 0 then\n",
        "  if false then\n",
    ),
    lua(
        "restore is of any tenant",
        "restore",
        "if ARGV[1] ~= '' and job.o ~= ARGV[1] then return 'missing' end\n",
        "",
        PROMISES,
    ),
    lua(
        "erase takes another tenant's jobs",
        "erase",
        "if job[2] == ARGV[1] then",
        "if job[2] then",
        PROMISES,
    ),
    lua(
        "a lock of a dead holder stays taken",
        "lib/locks",
        "if job[1] == 'a' and job[2] == token then return id, token, nil end",
        "if true then return id, token, nil end",
        LIFE,
    ),
    lua(
        "a freed lock is handed to no one",
        "lib/locks",
        "for _ = 1, handing and 100 or 0 do",
        "for _ = 1, 0 do",
        LIFE,
    ),
    lua(
        "an open circuit opens for no longer",
        "circuit_report",
        "open_ms) * 2, longest_ms)",
        "open_ms), longest_ms)",
        ("webhooks/test_circuits.py",),
    ),
    lua(
        "every job makes the trial",
        "circuit_enter",
        "redis.call('HSET', key, 's', 't', 'tk', token,",
        "redis.call('HSET', key, 's', 'o', 'tk', token,",
        ("webhooks/test_circuits.py",),
    ),
    lua(
        "a circuit held by hand opens by itself",
        "circuit_enter",
        "if state == 'h' then return { 'o', -1 } end\n",
        "",
        ("webhooks/test_circuits.py",),
    ),
    Mutant(
        "a script asks for no right before its writes",
        "hsejobs/store/scripts.py",
        "if may and not ({_allowed(used)}) then",
        "if false then",
        ("store/test_replies.py::test_without_one_right_no_script_does_half",),
    ),
    Mutant(
        "a lost reply is not asked for again",
        "hsejobs/store/client.py",
        "reply is Reply.FULL\n",
        "True\n",
        ("engine/test_cuts.py",),
    ),
)
