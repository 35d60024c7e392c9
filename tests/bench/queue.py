#!/usr/bin/python3
"""How long mailq takes for 100,000 messages, and how much memory.

    make bench            or:  /usr/bin/python3 tests/bench/queue.py build
"""
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "e2e")]
from m365 import Microsoft365  # noqa: E402
from support import Outpost, fill_queue  # noqa: E402

BUILD = Path(sys.argv[1] if len(sys.argv) > 1 else "build").resolve()
COUNTS = (1000, 100_000)


def measure(outpost, *arguments):
    """Seconds, most kB resident, output."""
    start = time.perf_counter()
    process = subprocess.Popen([BUILD / "mailq", *arguments],
                               env=outpost.environment(),
                               stdout=subprocess.PIPE)
    out, peak = [], 0
    while piece := process.stdout.read1(1 << 20):
        out.append(piece)
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
            peak = int(status.split("VmHWM:")[1].split()[0])
        except (OSError, IndexError):       # it has ended
            pass
    process.wait()
    return time.perf_counter() - start, peak, b"".join(out)


def main():
    with tempfile.TemporaryDirectory(prefix="outpost-bench-") as folder:
        with Microsoft365(Path(folder) / "m365") as office:
            outpost = Outpost(folder, office)
            print(f"{'messages':>9} {'':8} {'seconds':>8} {'peak kB':>8}")
            have = 0
            for count in COUNTS:
                fill_queue(outpost, count - have)
                have = count
                for arguments in ((), ("--json",), ("--count",)):
                    seconds, peak, out = measure(outpost, *arguments)
                    name = " ".join(arguments) or "mailq"
                    print(f"{count:9} {name:8} {seconds:8.2f} {peak:8}")
                    assert str(count).encode() in out or arguments == (
                        "--json",)


if __name__ == "__main__":
    main()
