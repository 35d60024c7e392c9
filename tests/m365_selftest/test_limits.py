import time

from m365.limits import Limits
from selftest_client import Client


def test_nothing_is_enforced_unless_asked(m, client):
    client.ready()
    for _ in range(40):
        assert client.message().startswith("250")
    assert m.busiest() == 40


def test_fourth_connection_at_once_is_refused_after_data(m):
    m.enforce()
    clients = [Client(m).ready() for _ in range(4)]
    assert clients[3].message().startswith("432 4.3.2 STOREDRV.ClientSubmit")
    assert clients[0].message().startswith("250")
    clients[0].quit()
    assert m.wait_for(lambda: not m.sessions[0].open)
    assert clients[3].message().startswith("250")
    assert m.max_concurrent == m.max_concurrent_of("alerts@contoso.com") == 4
    for c in clients[1:]:
        c.close()


def test_a_connection_that_the_client_has_closed_counts_no_longer():
    limits, closed = Limits(), set()
    for session in range(1, 4):
        limits.connected(session, lambda s=session: s in closed)
        limits.signed_in("a@contoso.com", session)
    closed.add(2)
    limits.connected(4, lambda: False)
    limits.signed_in("a@contoso.com", 4)
    assert (limits.all_peak, limits.peak["a@contoso.com"]) == (3, 3)
    limits.connections = 3
    assert not limits.crowded("a@contoso.com", 4)


def test_rate_is_refused_with_421(m, client):
    m.enforce(per_minute=2, window=0.3)
    client.ready().message()
    client.message()
    assert client.cmd("MAIL FROM:<alerts@contoso.com>").startswith(
        "421 4.4.2 Message submission rate")
    time.sleep(0.3)
    with Client(m) as again:
        assert again.ready().message().startswith("250")


def test_rate_can_delay_instead(m, client):
    m.enforce(per_minute=1, window=0.3, rate="delay")
    before = time.monotonic()
    client.ready().message()
    assert client.message().startswith("250")
    assert time.monotonic() - before >= 0.3


def test_daily_recipients_are_counted(m, client):
    m.enforce(daily=1)
    assert client.ready().message().startswith("250")
    assert "SubmissionQuotaExceededException" in client.message()
