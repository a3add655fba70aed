"""A peer's process, seen from the orchestrator: it runs while it is asked something and stands still otherwise."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import fetch

HERE = Path(__file__).parent


class PeerFailed(Exception):
    """The peer said so, died, or took too long."""


class Peer:
    def __init__(self, setting, work, threads, extra=(), patience_s=1800):
        self.setting, self.patience_s = setting, patience_s
        interpreter = str(fetch.python(work, setting.venv)) if setting.venv else sys.executable
        self.log = work / f"log-{setting.name.replace(' ', '-')}.txt"
        environment = os.environ | {
            "OMP_NUM_THREADS": str(threads),
            "RAYON_NUM_THREADS": str(threads),
            "TOKENIZERS_PARALLELISM": "true",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        self.process = subprocess.Popen(
            [interpreter, "server.py", setting.module, setting.precision, str(work), str(threads), *extra],
            cwd=HERE,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log.open("w"),
        )
        self.rest = b""

    def ask(self, **order):
        """The answer; afterwards the process is stopped, with all its threads."""
        self.process.send_signal(signal.SIGCONT)
        try:
            self.process.stdin.write(json.dumps(order).encode() + b"\n")
            self.process.stdin.flush()
            answer = json.loads(self.line())
        except (BrokenPipeError, ValueError) as error:
            raise PeerFailed(f"died: {self.last_words() or error}") from error
        self.process.send_signal(signal.SIGSTOP)
        if "error" in answer:
            raise PeerFailed(answer["error"])
        return answer

    def line(self):
        """A line of its output; an answer may be long and come in parts."""
        end = time.monotonic() + self.patience_s
        while b"\n" not in self.rest:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                raise PeerFailed(f"no answer within {self.patience_s} s")
            part = os.read(self.process.stdout.fileno(), 1 << 20)
            if not part:
                raise ValueError("end of output")
            self.rest += part
        line, self.rest = self.rest.split(b"\n", 1)
        return line

    def last_words(self):
        lines = [line for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        return lines[-1].strip() if lines else ""

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
