"""The picture: a panel of bars for each workload, the best on top, libernie's in colour. SVG, written by hand."""

from html import escape

WIDTH, PANEL, COLUMNS, GAP = 960, 470, 2, 20
BAR, STEP, LABEL, TOP = 13, 17, 175, 42

STYLE = """
text { font: 12px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #24292f }
.title { font-weight: 600; font-size: 13px } .note { fill: #57606a; font-size: 11px }
.ours { fill: #1f6feb } .theirs { fill: #b6bec7 } .own { font-weight: 600 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .note { fill: #8d96a0 } .ours { fill: #4493f8 } .theirs { fill: #545d68 }
}
"""


def draw(panels, record):
    """`panels` is a list of (title, which numbers are better, [(setting, number)])."""
    panels = [panel for panel in panels if panel[2]]
    heights = [height(panels[at : at + COLUMNS]) for at in range(0, len(panels), COLUMNS)]
    total = TOP + sum(heights)
    about = record["machine"]
    heading = f"libernie beside other engines: ERNIE of base size, {record['threads']} threads of {about['model']}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {total}" role="img">',
        f"<title>{escape(heading)}</title><style>{STYLE}</style>",
        f'<text class="title" x="0" y="16">{escape(heading)}</text>',
        f'<text class="note" x="0" y="32">{record["date"][:10]}, median of {record["rounds"]} rounds</text>',
    ]
    y = TOP
    for at, tall in zip(range(0, len(panels), COLUMNS), heights):
        for column, panel in enumerate(panels[at : at + COLUMNS]):
            parts += bars(column * (PANEL + GAP), y, *panel)
        y += tall
    return "\n".join([*parts, "</svg>"]) + "\n"


def height(row):
    return max(len(panel[2]) for panel in row) * STEP + 44


def bars(x, y, title, better, rows):
    note = f'<tspan class="note">{better} is better</tspan>'
    yield f'<text class="title" x="{x}" y="{y + 16}">{escape(title)} {note}</text>'
    longest = max(value for _, value in rows)
    room = PANEL - LABEL - 50
    for i, (name, value) in enumerate(rows):
        top = y + 26 + i * STEP
        ours = name.startswith("libernie")
        width = max(1.0, room * value / longest)
        own = ' class="own"' if ours else ""
        yield f'<text{own} x="{x + LABEL - 6}" y="{top + 11}" text-anchor="end">{escape(name)}</text>'
        kind = "ours" if ours else "theirs"
        yield f'<rect class="{kind}" x="{x + LABEL}" y="{top}" width="{width:.1f}" height="{BAR}" rx="2"/>'
        text = f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
        yield f'<text{own} x="{x + LABEL + width + 5:.1f}" y="{top + 11}">{text}</text>'
