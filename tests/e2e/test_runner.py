"""Running the queue: sendmail -q."""
import email
import email.policy
import fcntl
import os
import signal
import subprocess
import time

import pytest

from support import (ACCOUNT, BOB, BUILD, NOUSER, OK, Outpost, fill_queue,
                     give_away)
from test_queueing import SIMPLE, finish, has_said, submit_of, wait_until

ANY_RATE = "1000/1s"
NOBODY = "550 5.1.1 User unknown"


def queue(outpost, *recipients, message="Subject: s\n\nB\n", args=()):
    """Put a message into the queue without sending it."""
    result = outpost.sendmail("-odq", *args, *(recipients or ["a@example.org"]),
                              input=message)
    assert result.code == OK, result
    return outpost.waiting()[-1]


def run(outpost, *args):
    result = outpost.run("sendmail", *(args or ["-q"]))
    assert result.code == OK, result
    assert result.out == ""
    return result


def log_of(outpost):
    return (outpost.folder / "mail.log").read_text()


def edit(entry, **fields):
    """Change fields of the record of a message (None takes one out)."""
    mtime = entry.path.stat().st_mtime
    head, rest = entry.path.read_bytes().split(b"\n\n", 1)
    lines = head.decode().splitlines()
    lines = [l for l in lines if l.split(": ")[0] not in fields]
    lines += [f"{k}: {v}" for k, v in fields.items() if v is not None]
    entry.path.write_bytes("\n".join(lines).encode() + b"\n\n" + rest)
    os.utime(entry.path, (mtime, mtime))


def make_old(entry, days, attempts=12):
    """As if it had waited so long."""
    edit(entry, arrived=int(time.time() - days * 86400), attempts=attempts)
    entry.make_due()


def notifications(outpost):
    """The notifications in the queue, parsed."""
    return [email.message_from_bytes(e.header + e.body,
                                     policy=email.policy.default)
            for e in outpost.waiting() if "notice" in e.record]


# ---- what is sent, and how

def test_an_outage_loses_nothing_and_keeps_the_order(tmp_path):
    """Server down, 50 messages queue with exit 0; server up, all come over one
    connection in order of arrival, and the queue is empty."""
    from m365 import Microsoft365
    office = Microsoft365(tmp_path / "m365")
    outpost = Outpost(tmp_path, office.start(), rate=ANY_RATE)
    outpost.send(SIMPLE)                    # a token is cached
    office.stop()
    for i in range(50):
        result = outpost.sendmail("-t", input=f"Subject: {i}\n" + SIMPLE)
        assert result.code == OK and "queued as " in result.err, result
    assert len(outpost.waiting()) == 50
    before = len(office.sessions)
    with office:
        for entry in outpost.waiting():
            entry.make_due()
        run(outpost)
        arrived = office.messages[1:]
        assert [m.header("Subject")[0] for m in arrived] == \
            [str(i) for i in range(50)]
        assert len(office.sessions) - before == 1
        assert outpost.waiting() == []
        assert list((outpost.queue / "active").iterdir()) == []


def test_a_run_with_nothing_to_do_connects_nowhere(outpost, office):
    run(outpost)
    assert office.sessions == []


def test_what_is_not_due_is_left_and_forced_by_qf(outpost, office):
    entry = queue(outpost)
    entry.make_due(-600)
    run(outpost)
    assert office.messages == [] and len(outpost.waiting()) == 1
    run(outpost, "-qf")
    assert len(office.messages) == 1 and outpost.waiting() == []


def test_a_time_far_ahead_counts_as_now(outpost, office):
    queue(outpost).make_due(-400 * 86400)
    run(outpost)
    assert len(office.messages) == 1


def test_the_message_is_what_it_was(outpost, office):
    body = "".join(f"line {i} \xe4\n" for i in range(5000)) + ".\n..\n"
    queue(outpost, message="Subject: s\nBcc: x@example.org\n\n" + body,
          args=["-i"])
    run(outpost)
    [m] = office.messages
    assert m.body.decode() == body.replace("\n", "\r\n")
    assert m.header("Bcc") == []
    assert len(m.header("Message-ID")) == 1


def test_only_the_deferred_are_tried_again(outpost, office):
    office.fault("at RCPT b@example.org reply 451 4.3.0 later")
    outpost.sendmail("a@example.org", "b@example.org", input="Subject: s\n\nB\n")
    [entry] = outpost.waiting()
    entry.make_due()
    run(outpost)
    assert [m.addresses for m in office.messages] == [
        ["a@example.org"], ["b@example.org"]]
    assert outpost.waiting() == []
    first, second = office.messages
    assert first.header("Date") == second.header("Date")
    assert first.header("Subject") == second.header("Subject")


def test_failures_are_retried_with_back_off(outpost, office):
    office.fault("at MAIL reply 451 4.3.0 later always")
    queue(outpost)
    delays = []
    for attempt in range(1, 4):
        outpost.waiting()[0].make_due()
        run(outpost)
        [entry] = outpost.waiting()
        assert entry.record["attempts"] == str(attempt)
        delays.append(entry.next - int(entry.record["tried"]))
    for delay, wanted in zip(delays, (60, 120, 240)):
        assert wanted <= delay <= wanted * 9 / 8
    assert "status=deferred (" in log_of(outpost)


def test_an_uncertain_message_waits_a_quarter_of_an_hour(outpost, office):
    office.fault("at BODY accept-then-close")
    queue(outpost)
    run(outpost)
    [entry] = outpost.waiting()
    assert entry.next >= time.time() + 800
    run(outpost, "-qf")
    one, two = office.messages
    assert len(one.raw) == len(two.raw)     # the same Message-ID is in both
    assert outpost.waiting() == []


def test_one_bad_message_does_not_stop_the_others(outpost, office):
    office.fault("at RCPT b@example.org reply 451 4.3.0 later")
    for person in ("a@example.org", "b@example.org", "c@example.org"):
        queue(outpost, person)
    run(outpost)
    assert [m.addresses[0] for m in office.messages] == [
        "a@example.org", "c@example.org"]
    assert len(office.sessions) == 1
    assert [e.pending for e in outpost.waiting()] == [["b@example.org"]]


def test_an_account_that_cannot_send_is_asked_once(outpost, office):
    """One message tries for all; the others are put off with it."""
    office.mailbox(ACCOUNT).smtp_auth_disabled = True
    for i in range(5):
        queue(outpost)
    run(outpost)
    assert len(office.sessions) == 1
    entries = outpost.waiting()
    assert len(entries) == 5
    assert all(e.next > time.time() + 600 for e in entries)
    assert [e.record.get("attempts") for e in entries] == [
        "1", None, None, None, None]
    run(outpost)
    assert len(office.sessions) == 1
    office.mailbox(ACCOUNT).smtp_auth_disabled = None
    run(outpost, "-qf")
    assert len(office.messages) == 5 and outpost.waiting() == []


def test_a_from_that_was_denied_is_not_repeated_by_a_backlog(outpost, office):
    """Exchange blocks mailboxes that do; it is asked once an hour."""
    outpost.set(send_as="boss@contoso.com")     # Exchange knows no such right
    for _ in range(3):
        queue(outpost, message="From: boss@contoso.com\n\nB\n")
    queue(outpost, "b@example.org")
    result = run(outpost, "-q", "-v")
    assert "refused mail from 'boss@contoso.com' less than an hour ago" in \
        result.err
    assert [m.addresses for m in office.messages] == [["b@example.org"]]
    assert sum(b"SendAsDenied" in line for session in office.sessions
               for _, line in session.transcript) == 1
    assert len(outpost.failed()) == 1
    left = [e for e in outpost.waiting() if "notice" not in e.record]
    assert [e.record["attempts"] for e in left] == ["1", "1"]
    assert all(e.next > time.time() + 3500 for e in left)
    office.mailbox(ACCOUNT).send_as.append("boss@contoso.com")
    run(outpost, "-qf")
    assert [m.header("From") for m in office.messages].count(
        ["boss@contoso.com"]) == 2


def test_a_lost_connection_is_opened_again(outpost, office):
    office.fault("at MAIL 2 close")
    for i in range(3):
        queue(outpost)
    run(outpost)
    assert len(office.messages) == 2 and len(office.sessions) == 2
    assert len(outpost.waiting()) == 1


def test_a_server_that_drops_every_connection_is_left_alone(outpost, office):
    office.fault("at MAIL close always")
    for i in range(8):
        queue(outpost)
    run(outpost)
    assert len(office.sessions) == 3
    assert len(outpost.waiting()) == 8
    office.clear_faults()


def test_a_large_backlog_gets_a_second_connection_and_no_more(outpost, office):
    outpost.set(rate=ANY_RATE)
    queue(outpost)
    [entry] = outpost.waiting()
    for i in range(230):
        name = entry.id[:6] + f"{i:04d}" + entry.id[10:]
        for suffix in (".body", ".env"):
            (entry.path.parent / (name + suffix)).write_bytes(
                entry.path.with_suffix(suffix).read_bytes())
    run(outpost)
    assert len(office.messages) == 231
    assert outpost.waiting() == []
    assert office.max_connections == 2


def test_a_backlog_of_one_user_does_not_delay_the_others(outpost, office):
    """Users take turns, also those whose mail comes during the run: here a
    notification."""
    outpost.set(rate=ANY_RATE, connections=2)
    office.fault("at RCPT a@example.org reply " + NOBODY)
    fill_queue(outpost, 130)
    give_away(outpost, uid=os.getuid() + 1)
    for i in range(2):
        queue(outpost, f"{i}@example.org")
    run(outpost)
    assert outpost.waiting() == [] and len(outpost.failed()) == 1
    order = [m.addresses[0] for m in office.messages]
    assert len(order) == 132
    assert order[0] == "0@example.org" and order[2] == "1@example.org"
    assert ACCOUNT in order[90:110]


def test_two_runs_at_once_send_nothing_twice(outpost, office):
    for i in range(20):
        queue(outpost, message=f"Subject: {i}\n\nB\n")
    runs = [outpost.start("sendmail", "-q") for _ in range(4)]
    assert [finish(r)[0] for r in runs] == [OK] * 4
    assert sorted(int(m.header("Subject")[0]) for m in office.messages) == \
        list(range(20))
    assert outpost.waiting() == []


def test_an_account_that_is_gone_holds_its_messages(outpost, office):
    outpost.accounts["other@contoso.com"] = dict(outpost.accounts[ACCOUNT])
    outpost.set_main(default=ACCOUNT)
    queue(outpost, args=["-f", "other@contoso.com"])
    queue(outpost)
    del outpost.accounts["other@contoso.com"]
    outpost.write()
    result = run(outpost, "-q", "-v")
    assert "other@contoso.com" in result.err
    assert len(office.messages) == 1
    [entry] = outpost.waiting()
    assert entry.record["class"] == "hold"


# ---- which messages

def test_patterns_choose_by_id_recipient_and_sender(outpost, office):
    outpost.set(send_as="boss@contoso.com")
    office.mailbox(ACCOUNT).send_as.append("boss@contoso.com")
    one = queue(outpost, "a@one.example")
    queue(outpost, "b@two.example")
    queue(outpost, "c@two.example", args=["-f", "boss@contoso.com"])
    for entry in outpost.waiting():
        entry.make_due(-600)

    def sent():
        return [m.addresses[0] for m in office.messages]
    run(outpost, "-qRnowhere.example")
    assert sent() == []
    run(outpost, "-qI" + one.id[3:])
    assert sent() == ["a@one.example"]
    run(outpost, "-qRTWO.example", "-qSboss@")
    assert sent() == ["a@one.example", "c@two.example"]
    run(outpost, "-q!Stwo")
    assert len(sent()) == 3


@pytest.mark.parametrize("option", ["-qG", "-qQ", "-qL", "-qp5m", "-q5x",
                                    "-qI", "-q!", "-q!X"])
def test_what_q_does_not_know_is_refused(outpost, option):
    result = outpost.run("sendmail", option)
    assert result.code == 64 and "-q" in result.err


def test_held_messages_stay(outpost, office):
    entry = queue(outpost)
    edit(entry, held=int(time.time()))
    run(outpost, "-qf")
    assert office.messages == [] and len(outpost.waiting()) == 1


def test_v_tells_what_becomes_of_each(outpost, office):
    office.fault("at RCPT b@example.org reply 451 4.3.0 later")
    office.fault(f"at RCPT c@example.org reply {NOBODY}")
    ids = [queue(outpost, f"{c}@example.org").id for c in "abc"]
    lines = run(outpost, "-q", "-v").err.splitlines()
    assert f"{ids[0]}: sent" in lines
    assert any(l.startswith(f"{ids[1]}: deferred: ") for l in lines)
    assert any(l.startswith(f"{ids[2]}: failed: ") and NOBODY in l
               for l in lines)


def test_what_is_told_to_nobody_does_not_hold_the_run(outpost, office):
    """Nor one of the mailbox's connections."""
    for _ in range(2):
        queue(outpost)
    reader, writer = os.pipe()
    size = fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    os.write(writer, b"x" * size)
    process = subprocess.Popen([BUILD / "sendmail", "-q", "-v"],
                               env=outpost.environment(), stderr=writer)
    assert process.wait(60) == OK
    assert len(office.messages) == 2
    assert os.read(reader, 2 * size) == b"x" * size
    os.close(reader)
    os.close(writer)


# ---- signals

def test_in_the_foreground_until_signalled(outpost, office):
    process = outpost.start("sendmail", "-q1s")
    for i in range(2):
        queue(outpost)
        wait_until(lambda: len(office.messages) == i + 1)
    process.send_signal(signal.SIGTERM)
    assert finish(process) == (OK, "")


def test_a_signal_ends_a_run_and_loses_nothing(outpost, office):
    office.fault("at MAIL stall always")
    for i in range(3):
        queue(outpost)
    process = outpost.start("sendmail", "-q")
    wait_until(lambda: has_said(office, "MAIL"))
    process.send_signal(signal.SIGTERM)
    assert finish(process)[0] == OK
    entries = outpost.waiting()
    assert len(entries) == 3
    assert all(e.next <= time.time() for e in entries)
    assert all("attempts" not in e.record for e in entries)
    office.clear_faults()
    run(outpost)
    assert len(office.messages) == 3


def test_a_signal_ends_all_processes_of_a_run(outpost, office):
    """Each account has one of its own."""
    office.fault("at MAIL stall always")
    outpost.set_main(default=ACCOUNT)
    outpost.set(BOB, **outpost.accounts[ACCOUNT])
    for sender in (ACCOUNT, BOB):
        queue(outpost, args=["-f", sender])
    process = outpost.start("sendmail", "-q")
    wait_until(lambda: has_said(office, "MAIL"))
    process.send_signal(signal.SIGTERM)
    assert finish(process)[0] == OK
    wait_until(lambda: all(s.close_time for s in office.sessions))
    assert "attempts" not in outpost.waiting()[0].record
    assert len(outpost.waiting()) == 2
    office.clear_faults()


def test_killed_amid_a_run_the_message_waits_a_while(outpost, office):
    office.fault("at BODY stall always")
    queue(outpost)
    process = outpost.start("sendmail", "-q")
    wait_until(lambda: has_said(office, "DATA"))
    os.kill(submit_of(process), signal.SIGKILL)
    finish(process)
    [entry] = outpost.waiting()
    assert entry.next > time.time() + 600
    office.clear_faults()


# ---- giving up, and telling

def test_after_give_up_the_sender_gets_a_status_notification(outpost, office):
    outpost.set_main(admin="it@contoso.com")
    office.fault("at MAIL reply 451 4.3.0 later")
    entry = queue(outpost, args=["-V", "envelope=1"],
                  message="Subject: invoice\nMessage-ID: <1@web>\n\nB\n")
    make_old(entry, days=6)
    run(outpost)
    [failed] = outpost.failed()
    assert failed.id == entry.id
    assert failed.recipients() == [("a@example.org", "refused")]
    [notice] = outpost.waiting()
    assert sorted(notice.pending) == [ACCOUNT, "it@contoso.com"]
    [m] = notifications(outpost)
    assert m.get_content_type() == "multipart/report"
    assert m["Content-Type"].params["report-type"] == "delivery-status"
    assert m["Auto-Submitted"] == "auto-replied"
    assert m["X-Auto-Response-Suppress"] == "All"
    assert m["In-Reply-To"] == "<1@web>"
    text, status, header = m.iter_parts()
    assert "a@example.org" in text.get_content()
    assert "later" in text.get_content()
    per_message, per_recipient = status.get_payload()
    assert per_message["Reporting-MTA"].startswith("dns; ")
    assert per_message["Original-Envelope-Id"] == "envelope=1"
    assert per_message["Arrival-Date"]
    assert per_recipient["Final-Recipient"] == "rfc822; a@example.org"
    assert per_recipient["Action"] == "failed"
    assert per_recipient["Status"] == "4.4.7"
    assert header.get_content_type() == "text/rfc822-headers"
    assert "Subject: invoice" in header.get_content()
    assert "status=expired (" in log_of(outpost)
    run(outpost)
    [sent] = office.messages
    assert sent.violations == []
    assert all(p["NOTIFY"] == "NEVER" for _, p in sent.recipients)


def test_twelve_attempts_are_made_at_least(outpost, office):
    """A machine that slept for a week has not tried yet."""
    office.fault("at MAIL reply 451 4.3.0 later always")
    make_old(queue(outpost), days=9, attempts=3)
    run(outpost)
    [entry] = [e for e in outpost.waiting() if "notice" not in e.record]
    assert entry.record["attempts"] == "4" and outpost.failed() == []


def test_time_on_hold_does_not_count(outpost, office):
    office.fault("at MAIL reply 451 4.3.0 later always")
    entry = queue(outpost)
    edit(entry, on_hold=3 * 86400)
    make_old(entry, days=6)
    run(outpost)
    assert outpost.failed() == []


def test_when_the_account_fails_all_that_is_too_old_is_given_up(outpost,
                                                                office):
    office.fault("at connect close always")
    for i in range(3):
        make_old(queue(outpost), days=6)
    for i in range(2):
        for entry in outpost.waiting():
            if "notice" not in entry.record:
                entry.make_due()
        run(outpost)
    assert len(outpost.failed()) == 3
    office.clear_faults()


def test_the_sender_is_told_once_that_it_is_late(outpost, office):
    office.fault("at RCPT reply 451 4.3.0 later always")
    make_old(queue(outpost), days=0.2, attempts=4)
    for i in range(3):
        outpost.waiting()[0].make_due()
        run(outpost)
    [m] = notifications(outpost)
    _, status, _ = m.iter_parts()
    per_recipient = status.get_payload()[1]
    assert per_recipient["Action"] == "delayed"
    assert per_recipient["Will-Retry-Until"]


@pytest.mark.parametrize("wish, failed, late", [
    ("never", 0, 0), ("failure", 1, 0), ("delay", 0, 1), ("success", 0, 0),
    ("failure,delay", 1, 1)])
def test_the_senders_wishes_are_obeyed(outpost, office, wish, failed, late):
    office.fault(f"at RCPT a@example.org reply {NOBODY} always")
    office.fault("at RCPT b@example.org reply 451 4.3.0 later always")
    queue(outpost, args=["-N", wish])
    make_old(queue(outpost, "b@example.org", args=["-N", wish]), days=0.2)
    run(outpost)
    kinds = [m["Subject"] for m in notifications(outpost)]
    assert sum("could not" in k for k in kinds) == failed
    assert sum("delayed" in k for k in kinds) == late


def test_a_refusal_in_the_queue_is_told_once(outpost, office):
    office.fault(f"at RCPT a@example.org reply {NOBODY}")
    office.fault("at RCPT b@example.org reply 451 4.3.0 later times 2")
    queue(outpost, "a@example.org", "b@example.org")
    for i in range(3):
        for entry in outpost.waiting():
            entry.make_due()
        run(outpost)
    told = [m for m in office.messages if ACCOUNT in m.addresses]
    assert len(told) == 1
    assert "a@example.org" in told[0].text
    assert "b@example.org" not in told[0].text.split("text/rfc822-headers")[0]


def test_who_is_refused_while_others_are_not_is_told_of_in_one(outpost,
                                                               office):
    office.fault(f"at RCPT b@example.org reply {NOBODY}")
    office.fault(f"at RCPT c@example.org reply {NOBODY}")
    outpost.sendmail(*(f"{c}@example.org" for c in "abc"),
                     input="Subject: s\n\nB\n")
    [m] = notifications(outpost)
    text = next(m.iter_parts()).get_content()
    assert "b@example.org" in text and "c@example.org" in text
    assert "a@example.org" not in text


def test_an_exit_code_needs_no_notification(outpost, office):
    office.fault(f"at RCPT reply {NOBODY}")
    assert outpost.sendmail("-t", input=SIMPLE).code == NOUSER
    assert outpost.waiting() == []


def test_a_notification_is_never_answered_by_one(outpost, office):
    office.fault(f"at RCPT reply {NOBODY} always")
    queue(outpost)
    run(outpost)
    assert len(notifications(outpost)) == 1
    run(outpost)
    assert outpost.waiting() == []
    assert len(outpost.failed()) == 2
    run(outpost)
    assert len(outpost.failed()) == 2


def test_over_twenty_an_hour_become_one_summary(outpost, office):
    outpost.set(rate=ANY_RATE)
    office.fault("at RCPT a@example.org reply " + NOBODY + " always")
    for i in range(25):
        queue(outpost)
    run(outpost)
    assert len(outpost.failed()) == 25
    assert len(notifications(outpost)) == 20
    run(outpost)
    edit(queue(outpost), uid=os.getuid() + 1)   # another user's own twenty
    run(outpost)
    assert len(notifications(outpost)) == 1
    run(outpost)
    assert len(notifications(outpost)) == 0
    ledger = outpost.queue / "notices"
    text = ledger.read_text()
    assert text.count("\nlate: ") == 5
    since = int(text.split("since: ")[1].split()[0])
    ledger.write_text(text.replace(f"since: {since}", f"since: {since * 2}"))
    run(outpost)                                # the clock has been set back
    assert f"since: {since * 2}" not in ledger.read_text()
    ledger.write_text(text.replace(f"since: {since}", f"since: {since - 3601}"))
    run(outpost)
    summary = office.messages[-1]
    assert summary.header("Subject") == ["More mail could not be delivered"]
    assert summary.text.count("a@example.org") == 5
    run(outpost)
    assert office.messages[-1] is summary


def test_failed_messages_go_when_they_were_kept_long_enough(outpost, office):
    office.fault(f"at RCPT reply {NOBODY} times 2")
    for i in range(2):
        outpost.sendmail("-t", input=SIMPLE)
    old, new = outpost.failed()
    old.make_due(31 * 86400)
    run(outpost)
    assert [e.id for e in outpost.failed()] == [new.id]
    assert not old.path.with_suffix(".body").exists()


def test_a_corrupt_message_is_set_aside_and_the_others_go(outpost, office):
    bad, good = queue(outpost), queue(outpost)
    bad.path.write_bytes(bad.path.read_bytes()[:-5])
    result = run(outpost, "-q", "-v")
    assert bad.id in result.err
    assert len(office.messages) == 1
    assert (outpost.queue / "corrupt" / f"{bad.id}.env").exists()
    assert (outpost.queue / "corrupt" / f"{bad.id}.body").exists()
    assert bad.id in log_of(outpost)
