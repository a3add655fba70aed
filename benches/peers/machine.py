"""What the run was made on: the processor, its measured peaks, and the state of the project."""

import json
import os
import platform
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
TOLD_FLAGS = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "avx_vnni", "amx_tile", "amx_int8", "amx_bf16")
TOLD_FLAGS += ("asimddp", "i8mm", "bf16", "sve")


def describe():
    about = {"system": platform.platform(), "cores": os.cpu_count(), "model": platform.machine(), "flags": []}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            about["model"] = value.strip()
        if key.strip() in ("flags", "Features"):
            about["flags"] = [flag for flag in value.split() if flag in TOLD_FLAGS]
    memory = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    about["memory_gb"] = round(int(memory.split()[1]) / 1e6, 1)
    for name, arguments in [("commit", ["rev-parse", "--short", "HEAD"]), ("changes", ["status", "--porcelain"])]:
        done = subprocess.run(["git", *arguments], cwd=HERE, capture_output=True, text=True)
        about[name] = done.stdout.strip()
    about["changes"] = bool(about["changes"])
    return about


def peak(work, threads):
    """GOP/s and GB/s of peak.c, which is compiled the first time; {} where that fails."""
    program = work / "peak"
    compiler = os.environ.get("CC", "cc")
    try:
        if not program.is_file() or program.stat().st_mtime < (HERE / "peak.c").stat().st_mtime:
            command = [compiler, "-O3", "-march=native", "-pthread", str(HERE / "peak.c"), "-o", str(program)]
            subprocess.run(command, check=True)
        done = subprocess.run([str(program), str(threads)], check=True, capture_output=True, text=True)
        return json.loads(done.stdout)
    except (OSError, subprocess.CalledProcessError, ValueError) as error:
        print(f"absent: the processor's peak: {error}", flush=True)
        return {}


def load():
    return os.getloadavg()[0]
