#!/usr/bin/env python3
"""One peer's process: opens an engine and measures what it is told, a JSON line in and a JSON line out.

    server.py MODULE PRECISION WORK THREADS [KEY=VALUE ...]

    {"do": "open"}      -> import_s, open_s (to the first answer), version, modes
    {"do": "check"}     -> ids, logits of the texts that are compared, by mode
    {"do": "run", "workload": NAME, "kind": KIND, "mode": MODE}
                        -> seconds, and milliseconds of each text where texts come singly
    {"do": "memory"}    -> rss_mb, peak_mb
    {"do": "quit"}

What engines print goes to standard error. A failure is {"error": ...}, and the process goes on.
"""

import ctypes
import importlib
import json
import os
import queue
import signal
import sys
import threading
import time
import traceback
from pathlib import Path

WARM_UP = 3
CALLERS = 16
now = time.perf_counter


class Batcher:
    """Serves concurrent callers by a thread that takes all texts waiting as one padded batch."""

    def __init__(self, engine, limit=32):
        self.engine, self.limit = engine, limit
        self.waiting = queue.SimpleQueue()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            taken = [self.waiting.get()]
            while len(taken) < self.limit and not self.waiting.empty():
                taken.append(self.waiting.get())
            try:
                rows = self.engine.classify([text for text, _ in taken], "padded")
            except Exception as error:
                rows = [error] * len(taken)
            for row, (_, answer) in zip(rows, taken):
                answer.put(row)

    def one(self, text):
        answer = queue.SimpleQueue()
        self.waiting.put((text, answer))
        row = answer.get()
        if isinstance(row, Exception):
            raise row
        return row


class Server:
    def __init__(self, module, precision, work, threads, extra):
        self.module, self.precision, self.work, self.threads = module, precision, Path(work), int(threads)
        self.extra = dict(pair.split("=", 1) for pair in extra)
        self.texts = json.loads((self.work / "texts.json").read_text())
        self.shared = {}

    def open(self, _):
        started = now()
        module = importlib.import_module(f"peers.{self.module}")
        imported = now()
        self.engine = module.Engine(self.work, self.precision, self.threads, **self.extra)
        self.engine.one(self.texts["workloads"]["open"][0])
        opened = now()
        modes = {"throughput": self.engine.modes, "callers": self.engine.caller_modes, "latency": ("single",)}
        return dict(import_s=imported - started, open_s=opened - imported, version=self.engine.version, modes=modes)

    def check(self, _):
        texts = self.texts["check"]
        logits = {mode: self.engine.classify(texts, mode) for mode in self.engine.modes}
        plain = {mode: [[float(x) for x in row] for row in rows] for mode, rows in logits.items()}
        return dict(ids=self.engine.token_ids(texts), logits=plain)

    def run(self, order):
        texts = self.texts["workloads"][order["workload"]]
        return getattr(self, order["kind"])(texts, order["mode"])

    def latency(self, texts, _):
        for text in texts[:WARM_UP]:
            self.engine.one(text)
        times = []
        for text in texts:
            started = now()
            self.engine.one(text)
            times.append((now() - started) * 1e3)
        return dict(seconds=sum(times) / 1e3, milliseconds=times)

    def throughput(self, texts, mode):
        for text in texts[:WARM_UP]:
            self.engine.one(text)
        started = now()
        self.engine.classify(texts, mode)
        return dict(seconds=now() - started)

    def callers(self, texts, mode):
        if mode not in self.shared:
            self.shared[mode] = Batcher(self.engine) if mode == "queue" else self.engine.callers(mode)
        served, times, failed = self.shared[mode], [], []
        begin = threading.Barrier(CALLERS + 1)
        remaining = iter(texts)

        def caller():
            try:
                for text in texts[:WARM_UP]:
                    served.one(text)
                begin.wait()
                for text in remaining:
                    started = now()
                    served.one(text)
                    times.append((now() - started) * 1e3)
            except Exception as error:
                failed.append(error)
                begin.abort()

        threads = [threading.Thread(target=caller) for _ in range(CALLERS)]
        for thread in threads:
            thread.start()
        try:
            begin.wait()
        except threading.BrokenBarrierError:
            pass
        started = now()
        for thread in threads:
            thread.join()
        if failed:
            raise failed[0]
        return dict(seconds=now() - started, milliseconds=times)

    def memory(self, _):
        status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        return {key: int(status[name].split()[0]) / 1024 for key, name in [("rss_mb", "VmRSS"), ("peak_mb", "VmHWM")]}


def main():
    # A stopped process does not see that its orchestrator is gone: the kernel ends it (PR_SET_PDEATHSIG).
    ctypes.CDLL(None).prctl(1, int(signal.SIGKILL))
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    server = Server(*sys.argv[1:5], sys.argv[5:])
    for line in sys.stdin:
        order = json.loads(line)
        if order["do"] == "quit":
            break
        try:
            answer = getattr(server, order["do"])(order)
        except Exception as error:
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
    # Engines that end their threads badly shall not keep the orchestrator waiting.
    answers.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
