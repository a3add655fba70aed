#!/usr/bin/env python3
"""Measures libernie beside ONNX Runtime, OpenVINO, CTranslate2, Paddle Inference and PyTorch: `make bench`.

All run the same weights on the same texts with as many threads, tokenization included, each in a process of its own
that stands still (SIGSTOP) while another is measured. They take turns: in each round every setting runs every workload
once, in another order each time. What each computes is compared with PyTorch's f32 first. README.md here tells the rest.

Writes DATE-peers.md, .json and .svg into --results. Needs nothing but Python; what peers need is fetched into --work.
"""

import argparse
import datetime
import itertools
import json
import math
import signal
import sys
from pathlib import Path

import fetch
import machine
import report
from client import Peer, PeerFailed
from settings import SETTINGS
from workloads import WORKLOADS, Texts

ROOT = Path(__file__).resolve().parents[2]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    names = ",".join(w.name for w in WORKLOADS)
    parser.add_argument("--workloads", default=names, help="some of these, separated by commas (default: all)")
    parser.add_argument("--peers", default="", help="settings whose name holds one of these, separated by commas")
    parser.add_argument("--rounds", type=int, help="how often each is measured (default 3, with --quick 2)")
    parser.add_argument("--limit-texts", type=int, help="texts of each data set (default 128 reviews, 256 questions)")
    parser.add_argument("--quick", action="store_true", help="few repetitions: to try it out, not to believe")
    parser.add_argument("--threads", type=int, default=2, help="of each engine (default 2)")
    parser.add_argument("--libernie", action="append", default=[], metavar="KEY=VALUE", help="options of libernie")
    parser.add_argument("--library", type=Path, default=ROOT / "build/stage/lib/libernie.so", help="libernie.so to measure")
    parser.add_argument("--data", type=Path, default=ROOT / "../shared/data", help="reviews and questions")
    parser.add_argument("--work", type=Path, default=ROOT / "build/peers", help="keeps what is fetched and made")
    parser.add_argument("--results", type=Path, default=ROOT / "benches/results", help="where the report goes")
    parser.add_argument("--no-fetch", action="store_true", help="use what is there")
    chosen = parser.parse_args()
    chosen.rounds = chosen.rounds or (2 if chosen.quick else 3)
    for path in ("library", "data", "work", "results"):
        setattr(chosen, path, getattr(chosen, path).resolve())
    unknown = set(chosen.workloads.split(",")) - set(names.split(","))
    if unknown:
        parser.error(f"no workload {', '.join(sorted(unknown))}; there are {names}")
    return chosen


class Run:
    """Everything that one run of the comparison learns; `record` is what becomes JSON."""

    def __init__(self, chosen):
        self.chosen, self.work = chosen, chosen.work
        wanted = [part.strip().lower() for part in chosen.peers.split(",") if part.strip()]
        self.settings = [s for s in SETTINGS if not wanted or any(part in s.name.lower() for part in wanted)]
        self.workloads = [w for w in WORKLOADS if w.name in chosen.workloads.split(",")]
        self.peers = {}
        self.record = {
            "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
            "command": " ".join(["run.py", *sys.argv[1:]]),
            "quick": chosen.quick,
            "rounds": chosen.rounds,
            "threads": chosen.threads,
            "machine": machine.describe(),
            "peaks": [],
            "absent": {},
            "versions": {},
            "checks": {},
            # {workload: {setting: {mode: [a measurement for each round]}}}
            "values": {w.name: {} for w in self.workloads},
        }

    def extra(self, setting):
        if setting.module != "libernie":
            return ()
        return (f"path={self.chosen.library}", *self.chosen.libernie)

    def drop(self, setting, why):
        """A setting that cannot be measured is named in the report and the others go on."""
        print(f"absent: {setting.name}: {why}", flush=True)
        self.record["absent"][setting.name] = str(why)
        self.settings.remove(setting)
        if setting.name in self.peers:
            self.peers.pop(setting.name).end()

    def prepare(self):
        self.work.mkdir(parents=True, exist_ok=True)
        texts = Texts(self.chosen.data, self.chosen.limit_texts, self.chosen.quick)
        self.record["texts"] = texts.origin
        described = {"vocabulary": texts.vocabulary, **texts.as_json()}
        (self.work / "texts.json").write_text(json.dumps(described))
        if not self.chosen.no_fetch:
            venvs = dict.fromkeys(["torch", *(s.venv for s in self.settings if s.venv)])
            if "ort-1.28.0" in venvs:
                venvs["ort-newest"] = None
            self.record["absent"] |= fetch.venvs(self.work, venvs)
        absent = fetch.files(self.work, {s.module for s in self.settings})
        for setting in [s for s in self.settings if s.module in absent]:
            self.drop(setting, absent[setting.module])
        if not self.settings:
            sys.exit("nothing is left to measure")
        self.reference = json.loads((self.work / "reference.json").read_text())
        self.record["lengths"] = self.reference["lengths"]

    def start(self):
        for setting in list(self.settings):
            peer = Peer(setting, self.work, self.chosen.threads, self.extra(setting))
            self.peers[setting.name] = peer
            try:
                peer.modes = (opened := peer.ask(do="open"))["modes"]
                self.record["versions"][setting.name] = opened["version"]
                checked = self.compare(peer.ask(do="check"))
                self.record["checks"][setting.name] = checked
                worst = max(mode["largest"] for mode in checked["modes"].values())
                print(f"{setting.name}: {opened['version']}; logits differ by {worst:.2g} at most", flush=True)
            except PeerFailed as failed:
                self.drop(setting, failed)

    def compare(self, answer):
        """How far a peer's logits are from the reference's, by mode, and how many texts became the same token ids."""
        expected, modes = self.reference["logits"], {}
        margins = [row[1] - row[0] for row in expected]
        mean = sum(margins) / len(margins)
        spread = math.sqrt(sum((m - mean) ** 2 for m in margins) / len(margins))
        for mode, logits in answer["logits"].items():
            pairs = [(x, y) for row, want in zip(logits, expected) for x, y in zip(row, want)]
            # A NaN is as wrong as can be, and would be lost by max.
            differences = [abs(x - y) if math.isfinite(x) else math.inf for x, y in pairs]
            equal = sum((a[1] > a[0]) == (b[1] > b[0]) for a, b in zip(logits, expected))
            rms = math.sqrt(sum(d * d for d in differences) / len(differences))
            modes[mode] = {"largest": max(differences), "rms": rms, "equal_labels": equal / len(expected)}
        same = sum(a == b for a, b in zip(answer["ids"], self.reference["ids"]))
        return {"modes": modes, "texts": len(expected), "equal_ids": same, "spread": spread}

    def measure(self):
        for number in range(self.chosen.rounds):
            for workload in self.workloads:
                turn = number % max(1, len(self.settings))
                for setting in self.settings[turn:] + self.settings[:turn]:
                    try:
                        self.once(workload, setting, number)
                    except PeerFailed as failed:
                        self.drop(setting, f"{workload.name}: {failed}")
                print(f"round {number + 1} of {self.chosen.rounds}: {workload.name}", flush=True)

    def once(self, workload, setting, number):
        store = self.record["values"][workload.name].setdefault(setting.name, {})
        if workload.kind in ("open", "memory"):
            # Memory does not vary from round to round.
            if workload.kind == "open" or number == 0:
                store.setdefault("fresh", []).append(self.fresh(workload, setting))
            return
        peer = self.peers[setting.name]
        lengths = self.reference["lengths"][workload.name]
        for mode in peer.modes[workload.kind]:
            answer = peer.ask(do="run", workload=workload.name, kind=workload.kind, mode=mode)
            store.setdefault(mode, []).append(report.measurement(workload, answer, lengths))

    def fresh(self, workload, setting):
        """A process of its own: the time to its first answer, or its memory after that and after many texts."""
        peer = Peer(setting, self.work, self.chosen.threads, self.extra(setting))
        try:
            opened = peer.ask(do="open")
            if workload.kind == "open":
                return {"value": opened["open_s"], "import_s": opened["import_s"]}
            before = peer.ask(do="memory")
            mode = "together" if "together" in opened["modes"]["throughput"] else "sorted"
            peer.ask(do="run", workload=workload.name, kind="throughput", mode=mode)
            after = peer.ask(do="memory")
            return {"value": after["peak_mb"], "rss_after_mb": after["rss_mb"], "rss_open_mb": before["rss_mb"]}
        finally:
            peer.end()

    def peak(self):
        found = machine.peak(self.work, self.chosen.threads)
        self.record["peaks"].append(found | {"load": machine.load()})
        print(f"processor: {found}", flush=True)


def named(record):
    """The newest ONNX Runtime by its version, unless that is the one that is measured anyway."""
    versions = {name: version.split()[-1] for name, version in record["versions"].items() if "newest" in name}
    version = next(iter(versions.values()), "newest")
    if f"ONNX Runtime {version} f32" in record["versions"]:
        return record
    return json.loads(json.dumps(record).replace("ONNX Runtime newest", f"ONNX Runtime {version}"))


def main():
    chosen = arguments()
    # Ended from outside, it ends its peers too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    run = Run(chosen)
    try:
        run.prepare()
        run.peak()
        run.start()
        run.measure()
    finally:
        for peer in run.peers.values():
            peer.end()
    run.peak()
    chosen.results.mkdir(parents=True, exist_ok=True)
    record = named(run.record)
    name = free_name(chosen.results / f"{record['date'][:10]}-peers")
    report.write(record, run.workloads, name)
    print(name.with_suffix(".md").read_text())


def free_name(name):
    """The name, or with the least number from 2 that no report has: what was measured before on that day is kept."""
    names = itertools.chain([name], (name.with_name(f"{name.name}-{number}") for number in itertools.count(2)))
    return next(free for free in names if not free.with_suffix(".json").exists())


if __name__ == "__main__":
    main()
