"""Programs and libraries of Debian that send mail, run for real.

What tests/need does not install lies in a folder of its own, which is laid
over the system in a mount namespace. /usr/sbin/sendmail is ours there, and
what is written to the system is gone with the namespace."""
import functools
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from support import ACCOUNT, BUILD, NOUSER, OK, PATIENCE, UNDER, Outpost

TREE = Path("/var/cache/outpost-tests/root")
ADMIN = "it@contoso.com"

# Lays TREE and the test's own files ($2) over /usr and /etc. Files that a
# container has mounted in /etc would be hidden.
LAY = """
over=$1 files=$2; shift 2
mount -t tmpfs tmpfs $over
for dir in usr etc; do
	mkdir -p $over/$dir/upper $over/$dir/work
done
cp -L /etc/hosts /etc/resolv.conf $over/etc/upper 2>/dev/null || :
for dir in usr etc; do
	[ ! -d $files/$dir ] || cp -a $files/$dir/. $over/$dir/upper
	layers=lowerdir=%s/$dir:/$dir,upperdir=$over/$dir/upper
	mount -t overlay -o $layers,workdir=$over/$dir/work overlay /$dir
done
for dir in /run /var/cache /var/spool; do
	mount -t tmpfs tmpfs $dir
done
exec "$@"
""" % TREE


def lay(folder, *command):
    """The command line that runs a command on the laid system."""
    for name in ("over", "files"):
        (folder / name).mkdir(exist_ok=True)
    return ["unshare", "-m", "--propagation", "private", "sh", "-ec", LAY,
            "lay", str(folder / "over"), str(folder / "files"),
            *map(str, command)]


class System:
    """The system with those programs and our sendmail; `calls` has how
    sendmail was called: (arguments, exit code)."""

    def __init__(self, outpost, build=BUILD):
        if obstacle():
            pytest.skip(obstacle())
        outpost.set_main(admin=ADMIN)
        self.outpost, self.folder = outpost, outpost.folder
        self.log = self.folder / "calls"
        environment = outpost.environment(OUTPOST_LIBEXEC=str(build))
        keep = "".join(
            f"export {key}='{value}'\n" for key, value in environment.items()
            if key.startswith("OUTPOST_") or key.endswith("SAN_OPTIONS"))
        # Who calls may have emptied the environment.
        self.write("/usr/sbin/sendmail", f"""#!/bin/sh
{keep}arguments=$(printf '%s\\t' "$@")
code=0
{' '.join(UNDER)} {build}/sendmail "$@" || code=$?
printf '%s\\t%s\\n' "$code" "$arguments" >>{self.log}
exit $code
""", mode=0o755)
        (self.folder / "files/usr/lib").mkdir()
        (self.folder / "files/usr/lib/sendmail").symlink_to(
            "../sbin/sendmail")

    def write(self, path, text, mode=0o644):
        file = self.folder / "files" / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def start(self, *command, env=None, **more):
        return subprocess.Popen(
            lay(self.folder, *command), cwd=self.folder,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self.outpost.environment(**(env or {})), **more)

    def run(self, *command, input="", code=OK, **more):
        """Run it to its end, which must be that code; what it printed."""
        process = self.start(*command, **more)
        try:
            out, _ = process.communicate(input.encode(), timeout=PATIENCE)
        finally:
            process.kill()
        assert process.returncode == code, out.decode()
        return out.decode()

    @property
    def calls(self):
        if not self.log.exists():
            return []
        lines = [line.split("\t") for line in
                 self.log.read_text().splitlines()]
        return [(arguments[:-1], int(code)) for code, *arguments in lines]

    def wait_calls(self, count):
        """The calls, as soon as so many of them have ended."""
        end = time.monotonic() + PATIENCE
        while len(self.calls) < count and time.monotonic() < end:
            time.sleep(0.02)
        return self.calls


@functools.cache
def obstacle():
    """Why the system cannot be laid here, or None."""
    if os.geteuid() != 0:
        return "needs root"
    if not TREE.is_dir():
        return "needs the programs that tests/need unpacks"
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(lay(Path(folder), "true"), capture_output=True)
    return done.stderr.decode() if done.returncode else None


@pytest.fixture
def system(outpost):
    return System(outpost)


def arrived(office):
    """The only message, with what holds for every one of them."""
    [m] = office.messages
    assert m.violations == []
    assert m.mail_from == ACCOUNT
    assert len(m.header("From")) == 1 and f"<{ACCOUNT}>" in m.header("From")[0]
    assert m.header("Bcc") == []
    for name in ("Date", "Message-ID", "To", "Subject"):
        assert len(m.header(name)) == 1, m.text
    return m


def is_to_root(m):
    """Mail to root has gone to the administrator."""
    return m.addresses == [ADMIN] and m.header("To") == [f"root <{ADMIN}>"]


# PHP: mail() itself, and the libraries

def php(system, code, *settings, **more):
    """Run a program, with sendmail_path as PHP has it by itself."""
    return system.run("php", *settings, "-r", code, **more)


@pytest.mark.parametrize("options", [[], ["-f", "bounce@shop.example"],
                                     ["-fbounce@shop.example"]])
def test_php_mail_with_bcc_and_crlf(system, office, options):
    fifth = f', "{" ".join(options)}"' if options else ""
    out = php(system, r'''var_dump(mail("A <a@b.example>, x@b.example",
        "=?UTF-8?Q?gr=C3=BC=C3=9Fe?=", "one\r\n.\r\ntwo größe",
        "From: Shop <shop@shop.example>\r\nCc: c@d.example\r\n"
        . "Bcc: e@f.example\r\nMIME-Version: 1.0\r\n"
        . "Content-Type: text/plain; charset=utf-8"''' + fifth + "));")
    assert out == "bool(true)\n"
    assert system.calls == [(["-t", "-i", *options], OK)]
    m = arrived(office)
    assert sorted(m.addresses) == ["a@b.example", "c@d.example",
                                   "e@f.example", "x@b.example"]
    assert m.header("From") == [f"Shop <{ACCOUNT}>"]
    assert m.header("Reply-To") == ["Shop <shop@shop.example>"]
    assert m.header("To") == ["A <a@b.example>, x@b.example"]
    assert m.header("Cc") == ["c@d.example"]
    assert m.body == "one\r\n.\r\ntwo größe\r\n".encode()


def test_php_mail_with_an_array_of_headers(system, office):
    assert php(system, r'''var_dump(mail("a@b.example", "S", "Body",
        ["X-Mailer" => "shop", "Bcc" => "e@f.example"]));''') == \
        "bool(true)\n"
    m = arrived(office)
    assert sorted(m.addresses) == ["a@b.example", "e@f.example"]
    assert m.header("X-Mailer") == ["shop"]
    assert m.header("From") == [f"root on {os.uname()[1]} <{ACCOUNT}>"]


PHPMAILER = r"""
require 'libphp-phpmailer/autoload.php';
$mail = new PHPMailer\PHPMailer\PHPMailer(true);
$mail->%s();
$mail->CharSet = 'UTF-8';
$mail->setFrom('shop@shop.example', 'Shop');
$mail->addAddress('a@b.example', 'Größe');
$mail->addBCC('c@d.example');
$mail->Subject = 'grüße';
$mail->isHTML(true);
$mail->Body = "<p>größe</p>\n.\n";
$mail->AltBody = "größe";
try {
    $mail->send();
    echo "sent\n";
} catch (Exception $e) {
    echo $e->getMessage(), "\n";
}
"""


@pytest.mark.parametrize("way, arguments", [
    ("isMail", ["-t", "-i", "-fshop@shop.example"]),
    # Its path is the whole of sendmail_path.
    ("isSendmail", ["-t", "-i", "-oi", "-fshop@shop.example", "-t"])])
def test_phpmailer(system, office, way, arguments):
    assert php(system, PHPMAILER % way) == "sent\n"
    assert system.calls == [(arguments, OK)]
    m = arrived(office)
    assert sorted(m.addresses) == ["a@b.example", "c@d.example"]
    assert m.header("From") == [f"Shop <{ACCOUNT}>"]
    assert m.header("Reply-To") == ["Shop <shop@shop.example>"]
    assert m.header("Subject") == ["=?UTF-8?B?Z3LDvMOfZQ==?="]
    assert m.header("Content-Type")[0].startswith("multipart/alternative;")
    assert "<p>größe</p>\r\n.\r\n" in m.text


@pytest.mark.parametrize("way", ["isMail", "isSendmail"])
def test_phpmailer_tells_that_nothing_was_sent(system, office, way):
    office.fault("at RCPT reply 550 5.1.10 RecipientNotFound always")
    out = php(system, PHPMAILER % way)
    assert "sent" not in out.splitlines()
    assert "Could not " in out
    assert [code for _, code in system.calls] == [NOUSER]
    assert office.messages == []


SYMFONY = r"""
require 'Symfony/Component/Mailer/autoload.php';
use Symfony\Component\Mailer\{Mailer, Transport};
use Symfony\Component\Mime\Email;
$mailer = new Mailer(Transport::fromDsn(getenv('DSN')));
try {
    $mailer->send((new Email())->from('Shop <shop@shop.example>')
        ->to('a@b.example')->bcc('c@d.example')->subject('grüße')
        ->text("größe\n.\n..\n")->html('<p>größe</p>'));
    echo "sent\n";
} catch (Exception $e) {
    echo $e->getMessage(), "\n";
}
"""


@pytest.mark.parametrize("dsn, arguments", [
    ("sendmail://default", ["-bs"]),
    ("sendmail://default?command=/usr/sbin/sendmail%20-oi%20-t",
     ["-oi", "-fshop@shop.example", "--", "a@b.example", "c@d.example"]),
    ("native://default",
     ["-i", "-fshop@shop.example", "--", "a@b.example", "c@d.example"])])
def test_symfony_mailer(system, office, dsn, arguments):
    assert php(system, SYMFONY, env={"DSN": dsn}) == "sent\n"
    assert system.wait_calls(1) == [(arguments, OK)]
    m = arrived(office)
    assert sorted(m.addresses) == ["a@b.example", "c@d.example"]
    assert m.header("From") == [f"Shop <{ACCOUNT}>"]
    assert m.header("To") == ["a@b.example"]
    assert m.header("Content-Type")[0].startswith("multipart/alternative;")
    assert b"\r\n.\r\n..\r\n" in m.body


def test_symfony_mailer_tells_the_refusal(system, office):
    office.fault("at RCPT reply 550 5.1.10 RecipientNotFound always")
    out = php(system, SYMFONY, env={"DSN": "sendmail://default"})
    assert "sent" not in out.splitlines()
    assert "550" in out and "RecipientNotFound" in out
    assert office.messages == []


SWIFT = r"""
require 'Egulias/EmailValidator/autoload.php';
require 'Swift/swift_required.php';
$mailer = new Swift_Mailer(new Swift_SendmailTransport(getenv('COMMAND')));
$message = (new Swift_Message('grüße'))->setTo(['a@b.example'])
    ->setFrom(['shop@shop.example' => 'Shop'])->setBcc(['c@d.example'])
    ->setBody("größe\n.\n..\n");
echo $mailer->send($message, $failed), ' ', implode(' ', $failed), "\n";
"""


@pytest.mark.skipif(not os.path.isdir(TREE / "usr/share/php/Swift"),
                    reason="needs php-swiftmailer, which Debian 12 has")
@pytest.mark.parametrize("command, arguments", [
    ("/usr/sbin/sendmail -bs", ["-bs"]),
    ("/usr/sbin/sendmail -oi -t", ["-oi", "-t", "-fshop@shop.example"])])
def test_swift_mailer(system, office, command, arguments):
    assert php(system, SWIFT, env={"COMMAND": command}) == "2 \n"
    assert system.wait_calls(1) == [(arguments, OK)]
    # With -bs, who has a blind copy may be told apart.
    addresses = [a for m in office.messages for a in m.addresses]
    assert sorted(addresses) == ["a@b.example", "c@d.example"]
    for m in office.messages:
        assert m.violations == [] and m.mail_from == ACCOUNT
        assert m.header("From") == [f"Shop <{ACCOUNT}>"]
        assert m.header("Bcc") == []
        assert m.body.startswith(b"gr=C3=B6=C3=9Fe\r\n.\r\n..\r\n")


# Perl

def test_mailtools(system, office):
    system.run("perl", "-MMail::Send", "-e", r'''
        my $m = Mail::Send->new(Subject => 'hello', To => 'root',
            Cc => 'a@b.example', Bcc => 'c@d.example');
        my $handle = $m->open('sendmail');
        print $handle "one\n..\ntwo\n";
        $handle->close or die;
    ''')
    assert system.calls == [(["-t"], OK)]
    m = arrived(office)
    assert sorted(m.addresses) == ["a@b.example", "c@d.example", ADMIN]
    assert m.header("Cc") == ["a@b.example"]
    assert m.body.startswith(b"one\r\n..\r\ntwo\r\n")


@pytest.mark.parametrize("how, arguments", [
    ("$m->send", ["-t", "-oi", "-oem", "-fshop@shop.example"]),
    ("$m->send('sendmail', '/usr/lib/sendmail -t')", ["-t"])])
def test_mime_lite(system, office, how, arguments):
    system.run("perl", "-MMIME::Lite", "-e", r'''
        my $m = MIME::Lite->new(From => 'Shop <shop@shop.example>',
            To => 'a@b.example, x@b.example', Bcc => 'c@d.example',
            Subject => 'hello', Type => 'multipart/mixed');
        $m->attach(Type => 'TEXT', Data => "one\n..\ntwo\n");
        $m->attach(Type => 'application/octet-stream', Encoding => 'base64',
            Data => "\0\1\2", Filename => 'a.bin');
        exit(!(%s));''' % how)
    assert system.calls == [(arguments, OK)]
    m = arrived(office)
    assert sorted(m.addresses) == ["a@b.example", "c@d.example",
                                   "x@b.example"]
    assert m.header("From") == [f"Shop <{ACCOUNT}>"]
    assert b"\r\none\r\n..\r\ntwo\r\n" in m.body
    assert b"\r\nAAEC\r\n" in m.body


EMAIL_SENDER = r'''
    my $email = Email::Simple->create(header => [
        From => 'shop@shop.example', To => 'a@b.example',
        Bcc => 'c@d.example', Subject => 'hello'], body => "one\n.\ntwo\n");
    sendmail($email, { from => $ENV{FROM}, to => ['a@b.example',
        'c@d.example'] });
'''


@pytest.mark.parametrize("sender", ["shop@shop.example", ""])
def test_email_sender(system, office, sender):
    """The default transport; an empty sender is that of a bounce."""
    system.run("perl", "-MEmail::Sender::Simple=sendmail", "-MEmail::Simple",
               "-e", EMAIL_SENDER, env={"FROM": sender})
    assert system.calls == [(["-i", "-f", sender, "--", "a@b.example",
                              "c@d.example"], OK)]
    m = arrived(office)
    assert sorted(m.addresses) == ["a@b.example", "c@d.example"]
    assert m.body == b"one\r\n.\r\ntwo\r\n"


def test_email_sender_tells_that_nothing_was_sent(system, office):
    office.fault("at RCPT reply 550 5.1.10 RecipientNotFound always")
    out = system.run("perl", "-MEmail::Sender::Simple=try_to_sendmail",
                     "-MEmail::Simple", "-e", EMAIL_SENDER.replace(
                         "sendmail(", "print 'sent' if try_to_sendmail("),
                     env={"FROM": "shop@shop.example"})
    assert "RecipientNotFound" in out and "sent" not in out
    assert [code for _, code in system.calls] == [NOUSER]


# Node.js and Ruby

NODEMAILER = r"""
require('nodemailer').createTransport({sendmail: true}).sendMail({
    from: 'Shop <shop@shop.example>', to: 'a@b.example', bcc: 'c@d.example',
    subject: 'grüße', text: 'größe\n.\n',
    attachments: [{filename: 'a.txt', content: 'x'.repeat(100000)}],
}, (error, info) => console.log(error ? error.message : 'sent'));
"""


@pytest.mark.parametrize("fault, out, code", [
    (None, "sent", OK),
    ("at RCPT reply 550 5.1.10 RecipientNotFound always",
     "Sendmail exited with code 67", NOUSER)])
def test_nodemailer(system, office, fault, out, code):
    if fault:
        office.fault(fault)
    assert system.run("node", "-e", NODEMAILER, env={
        "NODE_PATH": "/usr/share/nodejs"}).splitlines()[-1] == out
    assert system.calls == [(["-i", "-f", "shop@shop.example", "a@b.example",
                              "c@d.example"], code)]
    if code == OK:
        m = arrived(office)
        assert sorted(m.addresses) == ["a@b.example", "c@d.example"]
        assert m.header("From") == [f"Shop <{ACCOUNT}>"]
        assert m.header("Subject") == ["=?UTF-8?Q?gr=C3=BC=C3=9Fe?="]
        assert m.body.count(b"eHh4") > 30000


def test_ruby_mail(system, office):
    """Action Mailer's library; it writes a line end more than it has."""
    system.run("ruby", "-e", r"""
require 'mail'
m = Mail.new { from 'shop@shop.example'; to 'a@b.example'; bcc 'c@d.example'
               subject 'grüße'; body "one\n.\ntwo\n" }
m.delivery_method :sendmail
m.deliver!
""")
    assert system.calls == [(["-i", "-f", "shop@shop.example", "--",
                              "a@b.example", "c@d.example"], OK)]
    m = arrived(office)
    assert sorted(m.addresses) == ["a@b.example", "c@d.example"]
    assert m.header("Subject") == ["=?UTF-8?Q?gr=C3=BC=C3=9Fe?="]
    assert m.body.startswith(b"one\r\n.\r\ntwo\r\n")


# Mail for the administrator

def test_mailutils(system, office):
    system.run("mail.mailutils", "-s", "größe", "-a", "X-Host: web1", "-r",
               "backup@web1.example", "root", "a@b.example",
               input="größe\n.\n")
    assert system.calls == [(["-oi", "-f", "backup@web1.example", "-t"], OK)]
    m = arrived(office)
    assert sorted(m.addresses) == ["a@b.example", ADMIN]
    assert m.header("X-Host") == ["web1"]
    assert m.header("Reply-To") == ["root <backup@web1.example>"]
    assert m.body.startswith("größe\r\n".encode())


def test_at(system, office):
    """The daemon runs a job and mails its output."""
    for name in ("atd", "at"):
        system.write(f"/etc/pam.d/{name}", "".join(
            f"{kind} required pam_permit.so\n"
            for kind in ("auth", "account", "session")))
    process = system.start("sh", "-ec", """
mkdir -p /var/spool/cron/atjobs /var/spool/cron/atspool
touch /var/spool/cron/atjobs/.SEQ
chown -R daemon:daemon /var/spool/cron
echo 'echo from-at' | at now
exec atd -f
""")
    try:
        calls = system.wait_calls(1)
    finally:
        process.kill()
        out, _ = process.communicate()
    assert calls == [(["-i", "root"], OK)], out
    m = arrived(office)
    assert is_to_root(m)
    assert m.header("Subject")[0].startswith("Output from your job ")
    assert m.body.startswith(b"from-at\r\n")


def test_anacron(system, office):
    tab = system.folder / "anacrontab"
    tab.write_text("SHELL=/bin/sh\nPATH=/usr/bin\n1 0 job echo größe\n")
    system.run("sh", "-ec", """
mkdir /var/spool/anacron
anacron -d -f -n -t "$0"
""", tab)
    assert system.calls == [(["-FAnacron", "-odi", "root"], OK)]
    m = arrived(office)
    assert is_to_root(m)
    assert m.header("From") == [f"Anacron <{ACCOUNT}>"]
    assert m.header("Subject") == [f"Anacron job 'job' on {os.uname()[1]}"]
    assert m.body == "größe\r\n".encode()


NOBODY = 65534


@pytest.fixture
def nobodys(office):
    """A system that a user without rights may use."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        outpost = Outpost(folder, office)
        shutil.copytree(office.ca_dir, folder / "ca")
        outpost.set(ca_dir=folder / "ca")
        (folder / "bin").mkdir()
        for program in ("sendmail", "submit", "token"):
            shutil.copy(BUILD / program, folder / "bin")
        system = System(outpost, folder / "bin")
        for path in (folder, *folder.rglob("*")):
            if path.relative_to(folder).parts[:1] != ("files",):
                os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
        yield system


def test_sudo(nobodys, office):
    """A wrong password. Its mailer runs as who called, and beside it."""
    system = nobodys
    system.write("/etc/pam.d/sudo", "auth requisite pam_deny.so\n"
                 "account required pam_permit.so\n")
    system.write("/etc/sudoers", "Defaults mail_badpass, passwd_tries=1\n"
                 "nobody ALL=(ALL) ALL\n", mode=0o440)
    # It would mail of a host's name without an address, too.
    system.write("/etc/hosts", f"127.0.0.1 localhost {os.uname()[1]}\n")
    system.run("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}",
               "--clear-groups", "sudo", "-S", "/bin/true", input="wrong\n",
               code=1)
    assert system.wait_calls(1) == [(["-t"], OK)]
    m = arrived(office)
    assert is_to_root(m)
    assert m.header("From") == [f"nobody on {os.uname()[1]} <{ACCOUNT}>"]
    assert m.header("Subject")[0].startswith("*** SECURITY information for ")
    assert m.header("Auto-Submitted") == ["auto-generated"]
    assert b" : nobody : 1 incorrect password attempt ; " in m.body


def test_mdadm(system, office):
    system.write("/etc/mdadm/mdadm.conf", "MAILADDR root\nARRAY /dev/md0 "
                 "UUID=3aaa0122:29827cfa:5331ad66:ca767371\n")
    system.run("mdadm", "--monitor", "--scan", "--test", "--oneshot")
    assert system.calls == [(["-t"], OK)]
    m = arrived(office)
    assert is_to_root(m)
    assert m.header("From") == [f"mdadm monitoring <{ACCOUNT}>"]
    assert m.header("Subject")[0].startswith("TestMessage event on /dev/md0:")
    assert b"\r\nFaithfully yours, etc.\r\n" in m.body


def test_smartd(system, office):
    """What smartd runs, from its own script to mailx."""
    system.run("/usr/share/smartmontools/smartd_warning.sh", env={
        "SMARTD_MAILER": "/usr/share/smartmontools/smartd-runner",
        "SMARTD_ADDRESS": "root",
        "SMARTD_FAILTYPE": "CurrentPendingSector",
        "SMARTD_MESSAGE": "Device: /dev/sda, 1 pending sectors",
        "SMARTD_DEVICEINFO": "DISK, S/N:1", "SMARTD_PREVCNT": "0",
        "SMARTD_NEXTDAYS": ""})
    assert system.calls == [(["-i", "-t"], OK)]
    m = arrived(office)
    assert is_to_root(m)
    assert "SMART error (CurrentPendingSector)" in m.header("Subject")[0]
    assert b"\r\nDevice: /dev/sda, 1 pending sectors\r\n" in m.body


def test_logwatch(system, office):
    (system.folder / "logs").mkdir()
    system.run("logwatch", "--mailto", "root", "--output", "mail", "--logdir",
               system.folder / "logs", "--service", "zz-disk_space",
               "--detail", "high", "--range", "all")
    assert system.calls == [(["-t"], OK)]
    m = arrived(office)
    assert is_to_root(m)
    assert m.header("Subject")[0].startswith("Logwatch for ")
    assert b" Disk Space Begin " in m.body and b" Logwatch End " in m.body


def test_unattended_upgrades(system, office):
    system.run("/usr/bin/python3", "-c", """
import apt_pkg, importlib.machinery, importlib.util, io
apt_pkg.init_config()
apt_pkg.config.set("Unattended-Upgrade::Mail", "root")
loader = importlib.machinery.SourceFileLoader(
    "program", "/usr/bin/unattended-upgrade")
program = importlib.util.module_from_spec(
    importlib.util.spec_from_loader("program", loader))
loader.exec_module(program)
program.send_summary_mail(["libssl3"], True, "All upgrades installed", {}, [],
                          [], io.StringIO("größe"), "")
""")
    assert system.calls == [(["-oi", "-t"], OK)]
    m = arrived(office)
    assert is_to_root(m)
    assert m.header("Auto-Submitted") == ["auto-generated"]
    assert m.header("Subject")[0].endswith(": SUCCESS")
    assert b"gr=C3=B6=C3=9Fe" in m.body


def test_fail2ban(system, office):
    """A jail starts, bans and stops, and mails each."""
    system.write("/etc/fail2ban/jail.local", f"""
[sshd]
enabled = false
[door]
enabled = true
filter = sshd
backend = polling
logpath = {system.folder}/mail.log
action = sendmail[name=door, dest=root]
""")
    system.run("sh", "-ec", """
mkdir /run/fail2ban
sed -i 's/^dbfile.*/dbfile = None/' /etc/fail2ban/fail2ban.conf
fail2ban-server -f --logtarget /dev/null start & trap "kill $!" EXIT
timeout 60 sh -c 'until fail2ban-client ping; do sleep 0.1; done'
fail2ban-client set door banip 192.0.2.7
timeout 60 sh -c 'until fail2ban-client status door | grep 192.0.2.7
do sleep 0.1; done'
fail2ban-client stop
wait
trap - EXIT
""")
    assert system.calls == [(["-f", "fail2ban", "root"], OK)] * 3
    assert [m.header("Subject")[0].split(": ")[1].split()[0]
            for m in office.messages] == ["started", "banned", "stopped"]
    for m in office.messages:
        assert is_to_root(m)
        assert m.mail_from == ACCOUNT
        assert m.header("From") == [f"Fail2Ban <{ACCOUNT}>"]
        assert m.body.endswith(b"\r\nRegards,\r\n\r\nFail2Ban\r\n")


# What answers and forwards mail

FROM_BOB = """From bob@shop.example Mon Jan  1 00:00:00 2024
Return-Path: <bob@shop.example>
Received: from mx.shop.example by web1; Mon, 1 Jan 2024 00:00:00 +0000
From: Bob <bob@shop.example>
To: root@web1.example
Subject: hello
Message-ID: <1@shop.example>
Date: Mon, 1 Jan 2024 00:00:00 +0000

one
.
two
"""


def test_procmail(system, office):
    """It leaves before the program it pipes to, and ends with an empty line
    what it writes."""
    rules = system.folder / "procmailrc"
    rules.write_text("SHELL=/bin/sh\n:0\n! a@b.example\n")
    system.run("procmail", "-m", rules, input=FROM_BOB)
    assert system.wait_calls(1) == [(["-oi", "a@b.example"], OK)]
    m = arrived(office)
    assert m.addresses == ["a@b.example"]
    assert m.header("From") == [f"Bob <{ACCOUNT}>"]
    assert m.header("Reply-To") == ["Bob <bob@shop.example>"]
    assert m.header("To") == ["root@web1.example"]
    assert m.header("Message-ID") == ["<1@shop.example>"]
    assert m.header("Return-Path") == []
    assert len(m.header("Received")) == 2
    assert m.body == b"one\r\n.\r\ntwo\r\n\r\n"


def test_vacation(system, office):
    answer, known = system.folder / "answer", system.folder / "known"
    answer.write_text("Subject: away\n\nWill read: $SUBJECT\n")
    system.run("sh", "-ec", """
vacation -m "$0" -f "$1" -i
vacation -m "$0" -f "$1" -a root@web1.example root
""", answer, known, input=FROM_BOB)
    assert system.wait_calls(1) == [
        (["-f", "root", "--", "bob@shop.example"], OK)]
    m = arrived(office)
    assert m.addresses == ["bob@shop.example"]
    assert m.header("Subject") == ["away"]
    assert m.body == b"Will read: hello\r\n"
