"""Puts what is measured into WORK: a venv for each group of packages, and each engine's files of the model.

What cannot be had is named and left out. The second time nothing is fetched.
"""

import os
import subprocess
import sys
from pathlib import Path

from settings import STEPS, VENVS

HERE = Path(__file__).parent
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
# Of PyTorch's wheel on PyPI, which needs CUDA's libraries to be there even where there is no GPU: what it does without.
UNNEEDED = ("triton", "cuda-bindings")


def python(work, venv):
    return work / f"venv-{venv}/bin/python"


def venvs(work, wanted):
    """Makes those venvs. Returns what is absent: {packages: why}."""
    absent = {}
    for venv in wanted:
        here = python(work, venv)
        if not here.is_file():
            run([sys.executable, "-m", "venv", str(here.parent.parent)])
        for line in VENVS[venv]:
            stamp = here.parent.parent / ("fetched-" + "".join(c if c.isalnum() else "-" for c in line))
            if stamp.is_file():
                continue
            print(f"fetching {line}", flush=True)
            failed = torch(here, line) if line.startswith("torch==") else pip(here, *line.split())
            if failed:
                absent[line] = failed
                print(f"absent: {line}: {failed}", flush=True)
            else:
                stamp.touch()
    return absent


def torch(here, pinned):
    """The wheel without CUDA, where its index can be reached; else that of PyPI with what importing it needs."""
    if not pip(here, pinned, "--index-url", CPU_INDEX, "--retries", "0", "--timeout", "10"):
        return None
    failed = pip(here, "--no-deps", pinned)
    if failed:
        return failed
    listing = (
        "from importlib.metadata import requires\n"
        "from pip._vendor.packaging.requirements import Requirement\n"
        "for line in requires('torch'):\n"
        "    need = Requirement(line)\n"
        f"    if need.name not in {UNNEEDED} and (not need.marker or need.marker.evaluate({{'extra': ''}})):\n"
        "        need.marker = None\n"
        "        print(str(need).replace(' ', ''))\n"
    )
    needs = subprocess.run([str(here), "-c", listing], capture_output=True, text=True).stdout.split()
    return pip(here, *needs)


def pip(here, *arguments):
    """None, or the last line of what pip says went wrong."""
    command = [str(here), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-cache-dir"]
    return run([*command, *arguments])


def run(command, **more):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)
    if done.returncode == 0:
        return None
    said = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    errors = [line for line in said if "rror" in line]
    return (errors or said or [f"exit status {done.returncode}"])[-1]


def files(work, modules):
    """Makes each engine's files. Returns {module: why it cannot be measured}."""
    absent = {}
    for name, venv, arguments, needed_by in STEPS:
        waiting = (needed_by & modules) - absent.keys()
        if not waiting:
            continue
        print(f"making {name}", flush=True)
        log = work / "prepare.log"
        environment = os.environ | {"TOKENIZERS_PARALLELISM": "true", "PYTHONPATH": str(HERE)}
        command = [str(python(work, venv)), *arguments, str(work)]
        failed = run(command, cwd=HERE, env=environment) if python(work, venv).is_file() else f"no venv {venv}"
        if failed:
            absent |= {module: f"{name}: {failed}" for module in waiting}
            print(f"absent: {name}: {failed}", flush=True)
            log.open("a").write(f"{name}: {failed}\n")
    return absent
