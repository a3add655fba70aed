"""From what a run measured to the table, the JSON and the picture."""

import json
from statistics import median

import chart
from workloads import operations

LEAST_EQUAL = 0.8  # settings with fewer equal labels are marked: they compute something else


def measurement(workload, answer, lengths):
    """One number, and what else is told, of one setting's answer in one round."""
    seconds, times = answer["seconds"], sorted(answer.get("milliseconds", []))
    found = {"seconds": seconds}
    if times:
        found |= {"p50": quantile(times, 0.5), "p99": quantile(times, 0.99), "mean": sum(times) / len(times)}
    if workload.kind == "throughput":
        found["value"] = sum(lengths) / seconds / 1e3
    elif workload.kind == "callers":
        found["value"] = len(lengths) / seconds
    else:
        found["value"] = found["mean" if workload.name == "lcqmc_singles" else "p50"]
    found["gops"] = sum(operations(n) for n in lengths) / seconds * 1e-9
    return found


def quantile(ordered, share):
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def middle(rounds, key="value"):
    return median(r[key] for r in rounds)


def best_modes(workload, values):
    """{setting: (its best mode, that mode's rounds)}."""
    sign = 1 if workload.better == "higher" else -1
    full = {name: {m: r for m, r in modes.items() if r} for name, modes in values.items()}
    best = {name: max(modes, key=lambda m: sign * middle(modes[m])) for name, modes in full.items() if modes}
    return {name: (mode, full[name][mode]) for name, mode in best.items()}


def ordered(workload, best):
    """Names of settings, the best first."""
    return sorted(best, key=lambda name: middle(best[name][1]), reverse=workload.better == "higher")


def ratio(workload, ours, theirs):
    """How many times better `ours` is: the median of the rounds' ratios, the least and the largest."""
    pairs = [(a["value"], b["value"]) for a, b in zip(ours, theirs)]
    each = [a / b if workload.better == "higher" else b / a for a, b in pairs]
    return median(each), min(each), max(each)


def is_ours(name):
    return name.startswith("libernie")


def precision(name):
    return name.rsplit(" ", 1)[1]


def number(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def times(found):
    return f"{found[0]:.2f} ({found[1]:.2f}-{found[2]:.2f})"


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def summary(record, workloads):
    """A line for each workload: libernie's settings, the best of the others, and the ratios."""
    rows = []
    for workload in workloads:
        best = best_modes(workload, record["values"][workload.name])
        names = ordered(workload, best)
        ours = [n for n in names if is_ours(n)]
        others = [n for n in names if not is_ours(n)]
        row = [f"{workload.title}, {workload.unit}"]
        for kind in ("f32", "bf16", "int8"):
            mine = [n for n in ours if precision(n) == kind]
            rival = [n for n in others if precision(n) == kind]
            if not mine:
                row.append("-")
                continue
            text = number(middle(best[mine[0]][1]))
            if rival:
                against = ratio(workload, best[mine[0]][1], best[rival[0]][1])
                text += f" ({against[0]:.2f} x {rival[0]})"
            row.append(text)
        if others:
            row.append(f"{others[0]}: {number(middle(best[others[0]][1]))}")
            row.append(times(ratio(workload, best[ours[0]][1], best[others[0]][1])) if ours else "-")
        else:
            row += ["-", "-"]
        rows.append(row)
    head = ["", "libernie f32", "libernie bf16", "libernie int8", "best of the others", "times as good"]
    return table(head, rows)


def details(record, workload):
    """All settings and modes of a workload, best first."""
    values = record["values"][workload.name]
    best = best_modes(workload, values)
    ours = [n for n in ordered(workload, best) if is_ours(n)]
    peak = max(found.get("int8_gops", 0) for found in record["peaks"])
    shown = [(name, mode, rounds) for name, modes in values.items() for mode, rounds in modes.items() if rounds]
    shown.sort(key=lambda one: middle(one[2]), reverse=workload.better == "higher")
    rows = []
    for name, mode, rounds in shown:
        each = [r["value"] for r in rounds]
        is_best = best[name][0] == mode
        row = [f"**{name}**" if is_best else name, mode, number(middle(rounds))]
        row.append(f"{number(min(each))}-{number(max(each))}")
        row.append(number(middle(rounds, "p99")) if "p99" in rounds[0] else "")
        share = middle(rounds, "gops") / peak if peak and "gops" in rounds[0] else None
        row.append(f"{share:.0%}" if share else "")
        like = [n for n in ours if precision(n) == precision(name)]
        for mine in (like, ours):
            row.append(times(ratio(workload, best[mine[0]][1], rounds)) if mine and not is_ours(name) else "")
        rows.append(row)
    head = ["setting", "mode", workload.unit, "least-most", "p99, ms", "of the int8 peak"]
    head += ["libernie of this precision, times as good", "libernie's best, times as good"]
    keep = [i for i in range(len(head)) if i < 4 or any(row[i] for row in rows)]
    return table([head[i] for i in keep], [[row[i] for i in keep] for row in rows])


def outputs(record):
    rows = []
    for name, check in record["checks"].items():
        worst = max(check["modes"].values(), key=lambda mode: mode["largest"])
        least = min(mode["equal_labels"] for mode in check["modes"].values())
        mark = "" if least >= LEAST_EQUAL else " (!)"
        ids = f"{check['equal_ids']} of {check['texts']}"
        rows.append([name, f"{worst['largest']:.2g}", f"{worst['rms']:.2g}", f"{least:.1%}{mark}", ids])
    return table(["setting", "largest difference", "root mean square", "equal labels", "equal token ids"], rows)


def peaks(record):
    names = [("int8_gops", "int8, GOP/s"), ("bf16_gops", "bf16, GOP/s"), ("f32_gops", "f32, GOP/s")]
    names.append(("read_gb_s", "reading, GB/s"))
    rows = []
    for when, found in zip(("before", "after"), record["peaks"]):
        rows.append([when, *(found.get(key) or "-" for key, _ in names), f"{found['load']:.1f}"])
    return table(["", *(title for _, title in names), "load of the machine"], rows)


def markdown(record, workloads, picture):
    about = record["machine"]
    spread = next((check["spread"] for check in record["checks"].values()), 0)
    counts = {w.name: record["lengths"][w.name] for w in workloads}
    sizes = ", ".join(f"{name} {len(n)} texts of {sum(n)} tokens" for name, n in counts.items())
    quick = "**Tried out with --quick: not to be believed.**\n\n" if record["quick"] else ""
    parts = [
        f"# libernie beside other engines, {record['date'][:10]}",
        f"{quick}A random ERNIE 3.0 of base size (12 layers, 768 hidden, two labels), the same weights and texts for "
        f"all, {record['threads']} threads, tokenization included. Median of {record['rounds']} rounds, in each of "
        "which every setting runs once while the others stand still; ratios are those within a round, the least and "
        "the largest of them in brackets, and above 1 where libernie is better. Of each engine its best way of taking "
        "many texts counts.",
        f"Machine: {about['model']}, {about['cores']} cores, {about['memory_gb']} GB, {about['system']}; "
        f"{' '.join(about['flags'])}. Date: {record['date']}. Commit {about['commit']}"
        f"{', with changes' if about['changes'] else ''}. Command: `{record['command']}`.",
        f"Texts: {record['texts']}. {sizes}. Opening and memory are those of a fresh process, without what Python "
        "takes to import the engine's package, but with all the memory of it; the memory is that after the reviews.",
        f"![the same as a picture]({picture})",
        summary(record, workloads),
        "In brackets beside a number of libernie: how many times better it is than the best of the others of the same "
        "precision. The last column is libernie's best beside the best of all the others.",
    ]
    for workload in workloads:
        parts += [f"## {workload.title} ({workload.name}, {workload.unit}, {workload.better} is better)"]
        parts += [details(record, workload)]
    parts += [
        "## What they compute",
        "Logits of 64 other texts beside PyTorch's in f32, each text alone; the difference of the two logits, by "
        f"which a label is chosen, has a standard deviation of {spread:.2f} over them. The network is random: labels "
        "that change show which engine computes more roughly, not what a trained model would lose.",
        outputs(record),
        "## The processor",
        f"In registers and from memory, on {record['threads']} threads, by peak.c. The share of the int8 peak is of "
        "the larger of both, and counts the operations of the texts' own tokens: no padding, and all of the last "
        "layer, also where an engine leaves out what the answer does not need.",
        peaks(record),
        "## Versions",
        table(["setting", "version"], record["versions"].items()),
    ]
    if record["absent"]:
        parts += ["Not measured:", table(["what", "why"], record["absent"].items())]
    return "\n\n".join(parts) + "\n"


def write(record, workloads, name):
    """NAME.json, NAME.svg and NAME.md."""
    name.with_suffix(".json").write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    panels = []
    for workload in workloads:
        best = best_modes(workload, record["values"][workload.name])
        bars = [(n, middle(best[n][1])) for n in ordered(workload, best)]
        panels.append((f"{workload.title}, {workload.unit}", workload.better, bars))
    name.with_suffix(".svg").write_text(chart.draw(panels, record))
    name.with_suffix(".md").write_text(markdown(record, workloads, name.with_suffix(".svg").name))
