"""Within Microsoft's limits, whatever number of processes send; and what only
a person can mend is not repeated by every message."""
import collections
import time

from support import ACCOUNT, OK
from test_runner import log_of, queue, run

SIMPLE = "To: a@example.org\nSubject: hello\n\nBody\n"
SWITCHED_OFF = ("535 5.7.139 Authentication unsuccessful, "
                "SmtpClientAuthentication is disabled for the Mailbox. Visit "
                "https://aka.ms/smtp_auth_disabled for more information.")
SENDER_FULL = ("554 5.2.2 mailbox full; STOREDRV.Submission.Exception:"
               "QuotaExceededException.MapiExceptionShutoffQuotaExceeded")


def send(outpost, subject="hello"):
    result = outpost.sendmail(
        "-t", input=f"To: a@example.org\nSubject: {subject}\n\nBody\n")
    assert result.code == OK, result
    return result


def subjects(office):
    return [m.header("Subject")[0] for m in office.messages]


def state_file(outpost, kind):
    return outpost.state / "state" / f"{ACCOUNT}={kind}"


def set_field(path, **fields):
    lines = path.read_text().splitlines()
    lines = [f"{l.split(': ')[0]}: {fields[l.split(': ')[0]]}"
             if l.split(": ")[0] in fields else l for l in lines]
    path.write_text("\n".join(lines) + "\n")


def let_probe(outpost):
    """As if the time for the next probe had come."""
    set_field(state_file(outpost, "hold"), next_probe=int(time.time()))
    for entry in outpost.waiting():
        entry.make_due()


# ---- limits

def test_200_at_once_stay_within_all_limits_and_arrive_once(outpost, office):
    """The minute is scaled down to 2 seconds; there as here."""
    outpost.set(rate="30/2s").set_main(patience="2s")
    office.enforce(connections=3, per_minute=30, window=2.0)
    outpost.run("outpost", "token")
    processes = []
    for i in range(200):
        process = outpost.start("sendmail", "-t")
        process.stdin.write(
            f"To: a@example.org\nSubject: {i}\n\nBody\n".encode())
        process.stdin.close()
        process.stdin = None
        processes.append(process)
    for process in processes:
        _, err = process.communicate(timeout=120)
        assert process.returncode == OK, err
    for _ in range(60):
        if not outpost.waiting():
            break
        for entry in outpost.waiting():
            entry.make_due()
        run(outpost)
    assert outpost.waiting() == []
    count = collections.Counter(subjects(office))
    assert count == {str(i): 1 for i in range(200)}
    assert office.max_connections <= 3
    assert office.violations == []
    log = log_of(outpost)
    assert "421 4" not in log and "432 4" not in log, "no throttle answer"


def test_a_message_whose_turn_is_too_late_is_queued_at_once(outpost, office):
    outpost.set(rate="2/1h")
    send(outpost, "first")
    send(outpost, "second")
    started = len(office.sessions)
    result = send(outpost, "third")
    assert "queued as" in result.err
    assert "2 messages in 3600 seconds" in result.err
    assert len(office.sessions) == started, "no connection is made for it"
    [entry] = outpost.waiting()
    assert entry.record.get("attempts", "0") == "0"
    assert 3500 < entry.next - time.time() < 3700


def test_recipients_of_a_day_are_counted(outpost, office):
    outpost.set(daily=3)
    outpost.send("To: a@x.example, b@x.example, c@x.example\n\nBody\n")
    result = outpost.sendmail("-t", input=SIMPLE)
    assert result.code == OK and "3 recipients in 24 hours" in result.err
    assert len(office.messages) == 1


def test_the_queue_leaves_a_third_of_the_rate_to_callers(outpost, office):
    outpost.set(rate="9/1h")
    for i in range(9):
        queue(outpost, message=f"Subject: q{i}\n\nB\n")
    run(outpost)
    assert len(office.messages) == 6
    for i in range(3):
        send(outpost, f"d{i}")
    assert subjects(office) == [f"q{i}" for i in range(6)] + \
        ["d0", "d1", "d2"]
    assert len(outpost.waiting()) == 3


# ---- holds

def test_an_account_on_hold_is_not_asked_again_by_each_message(
        outpost, office):
    office.fault(f"at AUTH reply {SWITCHED_OFF} always")
    first = send(outpost, "first")
    assert "switched off" in first.err and "Set-CASMailbox" in first.err
    assert len(office.sessions) == 1
    second = send(outpost, "second")
    assert "is on hold" in second.err and "queued as" in second.err
    for entry in outpost.waiting():
        entry.make_due()
    run(outpost)
    assert len(office.sessions) == 1
    assert len(outpost.waiting()) == 2


def test_a_probe_that_succeeds_lets_all_go(outpost, office):
    office.fault(f"at AUTH reply {SWITCHED_OFF} always")
    for i in range(3):
        send(outpost, str(i))
    let_probe(outpost)
    run(outpost)
    assert len(office.sessions) == 2, "one probe, by one message"
    assert len(outpost.waiting()) == 3
    office.clear_faults()
    let_probe(outpost)
    run(outpost)
    assert subjects(office) == ["0", "1", "2"]
    assert not state_file(outpost, "hold").exists()
    assert "no longer on hold" in log_of(outpost)


def test_who_asks_for_it_by_hand_is_not_held_back(outpost, office):
    office.fault(f"at AUTH reply {SWITCHED_OFF}")
    send(outpost)
    run(outpost, "-qf")
    assert len(office.messages) == 1
    assert not state_file(outpost, "hold").exists()


def test_another_message_finds_out_whether_a_message_drew_the_hold(
        outpost, office):
    """The one that drew it is at fault when others pass."""
    office.fault(f"at BODY reply {SENDER_FULL}")
    send(outpost, "culprit")
    send(outpost, "other")
    assert len(office.messages) == 0
    let_probe(outpost)
    office.fault(f"at BODY 2 reply {SENDER_FULL} always")
    run(outpost)
    assert subjects(office) == ["other"]
    office.clear_faults()
    [failed] = outpost.failed()
    assert b"culprit" in failed.header
    assert not state_file(outpost, "hold").exists()


def test_two_at_fault_do_not_hold_the_others_by_turns(outpost, office):
    """Of those that drew a hold none is the probe while others wait."""
    for name in ("one", "two"):
        office.fault(f"at RCPT {name}@x.example reply 550 5.7.501 Access "
                     "denied, spam abuse detected always")
    for name in ("one", "two", "fine"):
        assert outpost.sendmail("-odq" if name != "one" else "-odi",
                                f"{name}@x.example",
                                input="Subject: s\n\nB\n").code == OK
    for _ in range(2):
        let_probe(outpost)
        run(outpost)
    assert [m.addresses for m in office.messages] == [["fine@x.example"]]
    assert len(outpost.failed()) == 2
    assert not state_file(outpost, "hold").exists()


def test_after_a_connect_that_failed_mail_queues_at_once(outpost, office):
    outpost.set(port=1)
    assert "cannot connect" in send(outpost, "first").err
    outpost.set(port=office.smtp_port)
    assert "queued as" in send(outpost, "second").err
    assert office.sessions == []
    for entry in outpost.waiting():
        entry.make_due()
    run(outpost)
    assert subjects(office) == ["first", "second"]
    send(outpost, "third")
    assert subjects(office)[-1] == "third"


def test_who_signs_in_anew_need_not_wait_for_a_probe(
        signed_in, office):
    office.fault("at AUTH reply 535 5.7.3 Authentication unsuccessful always")
    assert "queued as" in send(signed_in, "first").err
    assert "is on hold" in send(signed_in, "second").err
    office.clear_faults()
    time.sleep(1.1)                     # times are whole seconds
    office.auto_approve = ACCOUNT
    assert signed_in.run("outpost", "login", "--device").code == OK
    send(signed_in, "third")
    assert subjects(office) == ["third"]
    assert not state_file(signed_in, "hold").exists()


def test_a_check_that_gets_in_lifts_the_hold(outpost, office):
    office.fault(f"at AUTH reply {SWITCHED_OFF}")
    send(outpost)
    assert state_file(outpost, "hold").exists()
    result = outpost.run("outpost", "check")
    assert result.code == OK and "is no longer on hold" in result.out
    assert result.err == "" and "no longer on hold" in log_of(outpost)
    assert not state_file(outpost, "hold").exists()


def test_a_check_sends_a_message_to_lift_what_a_message_drew(outpost, office):
    office.fault(f"at BODY reply {SENDER_FULL}")
    send(outpost)
    result = outpost.run("outpost", "check")
    assert result.code == 1 and state_file(outpost, "hold").exists()
    assert f"{ACCOUNT} stays on hold, for a message was refused: " in result.out
    assert f"'outpost check --send ADDRESS {ACCOUNT}'" in result.out
    result = outpost.run("outpost", "check", "--send", "a@x.example")
    assert result.code == OK and "stays on hold" not in result.out, result
    assert not state_file(outpost, "hold").exists()
