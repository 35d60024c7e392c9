"""A Debian machine to install the package on: a root folder made by
mmdebstrap, whose programs run under chroot in a mount namespace. It reaches
the package archive only while it is made."""
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ACCOUNT = "alerts@contoso.com"
SIMPLE = "To: a@example.org\nSubject: {}\n\nBody\n"
CALLERS = "php-cli bsd-mailx git git-email libmailtools-perl cron"
PATIENCE = 120
OFFLINE = 'Acquire::http::Proxy "http://127.0.0.1:9";\n' \
          'Acquire::https::Proxy "http://127.0.0.1:9";\n'
ENTER = """
mount --bind "$0" "$0"
mount -t proc proc "$0/proc"
mount --rbind /dev "$0/dev"
mount -t tmpfs tmpfs "$0/run"
[ ! -d "$0/src" ] || mount --bind "$1" "$0/src"
shift
exec chroot "$0" "$@"
"""
ENVIRONMENT = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
               "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C", "HOME=/root"]


@dataclass
class Result:
    code: int
    out: str
    err: str


class Machine:
    def __init__(self, root: Path, src: Path) -> None:
        self.root, self.src = root, src

    @classmethod
    def make(cls, root: Path, package: Path) -> "Machine":
        """A fresh Debian 12 without a mail server, and in apt's cache what
        the package and the programs that send mail need."""
        lists = Path("/etc/apt/sources.list.d")
        sources = [str(p) for p in [Path("/etc/apt/sources.list"),
                                    *lists.glob("*.list"),
                                    *lists.glob("debian.sources")]
                   if p.is_file() and p.stat().st_size]
        subprocess.run(["mmdebstrap", "--quiet", "--variant=apt",
                        "--skip=cleanup/apt",
                        "--aptopt=Acquire::Retries \"5\"", "bookworm",
                        str(root), *sources],
                       check=True, timeout=PATIENCE * 4)
        (root / "src").mkdir()
        (root / "etc/hosts").write_text("127.0.0.1 localhost\n")
        machine = cls(root, package.parent)
        machine.must("apt-get install -y --no-install-recommends "
                     f"--download-only /src/{package.name} {CALLERS}")
        (root / "etc/apt/apt.conf.d/offline").write_text(OFFLINE)
        machine.must("useradd -m alice; useradd -m bob")
        return machine

    def copy(self, root: Path) -> "Machine":
        subprocess.run(["cp", "-a", self.root, root], check=True)
        return Machine(root, self.src)

    def command(self, script: str, user: str | None = None) -> list[str]:
        become = ["setpriv", f"--reuid={user}", f"--regid={user}",
                  "--init-groups"] if user else []
        return ["unshare", "--mount", "--propagation", "private", "sh", "-ec",
                ENTER, str(self.root), str(self.src), *ENVIRONMENT, *become,
                "sh", "-c", script]

    def run(self, script: str, user: str | None = None,
            input: str = "") -> Result:
        done = subprocess.run(self.command(script, user), input=input,
                              capture_output=True, text=True,
                              timeout=PATIENCE)
        return Result(done.returncode, done.stdout, done.stderr)

    def must(self, script: str, user: str | None = None,
             input: str = "") -> str:
        result = self.run(script, user, input)
        assert result.code == 0, result
        return result.out

    def start(self, script: str) -> subprocess.Popen:
        return subprocess.Popen(self.command("exec " + script),
                                stdin=subprocess.DEVNULL)

    def install(self, *what: str) -> str:
        return self.must("apt-get install -y --no-install-recommends "
                         + " ".join(what))

    def rights(self, path: str) -> str:
        """Owner, group and mode, as 'outpost:outpost 6755'."""
        return self.must(f"stat -c '%U:%G %a' {path}").strip()

    def files(self) -> set[str]:
        """All there is but what apt, dpkg and the system keep of their own
        work."""
        out = self.must(
            "find / -xdev -mindepth 1 -path /proc -prune -o -path /var/cache "
            "-prune -o -path /var/log -prune -o -path /var/lib/dpkg -prune -o "
            "-path /var/lib/apt -prune -o -name '*.cache' -prune -o "
            "-path /var/lib/systemd -prune -o -print")
        return set(out.splitlines())

    def remove(self) -> None:
        shutil.rmtree(self.root)
