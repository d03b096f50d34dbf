"""Compare the committed pages with what the program prints: check_pages.py PROGRAM ROOT [--write].

With --write the pages are written anew instead. Changing a table of the program and this is all it takes to change a page.
"""
import json
import pathlib
import subprocess
import sys
import textwrap

PAGES = {
    "docs/CONFIGURATION.md": ["options", "--format", "markdown"],
    "docs/hubvault.1.scd": ["options", "--format", "man"],
    "completions/hubvault.bash": ["completion"],
}

# Written by hand, but for what stands between these lines.
FINDINGS_PAGE, LOGS_PAGE, METRICS_PAGE = "docs/VERIFY.md", "docs/LOGS.md", "docs/METRICS.md"
BEGIN, END = "<!-- printed by the program: begin -->\n", "<!-- printed by the program: end -->\n"


def printed(program, words):
    # Nothing of this machine may show up in a page.
    return subprocess.run([program, *words], check=True, capture_output=True, env={"PATH": "/usr/bin:/bin"}, timeout=30).stdout


def findings(program):
    rows = [json.loads(line) for line in printed(program, ["findings", "--output", "json"]).splitlines()]
    entries = [f"**{row['kind']}**: {row['meaning']}. *To do:* {row['advice']}" for row in rows]
    return "\n".join(textwrap.fill(entry, 130, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False) + "\n" for entry in entries)


def logs(program):
    rows = [json.loads(line) for line in printed(program, ["logs", "--output", "json"]).splitlines()]
    lines = ["| event | level | says | fields | meaning |", "|---|---|---|---|---|"]
    for row in rows:
        fields = " ".join(f"`{field}`" for field in row["fields"].split())
        lines.append(f"| `{row['event']}` | {row['level']} | {row['msg']} | {fields} | {row['meaning']} |")
    return "\n".join(lines) + "\n"


def metrics(program):
    rows = [json.loads(line) for line in printed(program, ["metrics", "--output", "json"]).splitlines()]
    lines = ["| name | type | labels | meaning |", "|---|---|---|---|"]
    for row in rows:
        labels = " ".join(f"`{label}`" for label in row["labels"].split())
        lines.append(f"| `{row['name']}` | {row['type']} | {labels} | {row['help']} |")
    return "\n".join(lines) + "\n"


def with_printed(text, page):
    before, rest = page.read_text().split(BEGIN)
    return (before + BEGIN + "\n" + text + "\n" + END + rest.split(END)[1]).encode()


def main(program, root, write):
    stale = []
    pages = {name: (lambda words=words: printed(program, words)) for name, words in PAGES.items()}
    pages[FINDINGS_PAGE] = lambda: with_printed(findings(program), pathlib.Path(root, FINDINGS_PAGE))
    pages[LOGS_PAGE] = lambda: with_printed(logs(program), pathlib.Path(root, LOGS_PAGE))
    pages[METRICS_PAGE] = lambda: with_printed(metrics(program), pathlib.Path(root, METRICS_PAGE))
    for name, make in pages.items():
        page, want = pathlib.Path(root, name), make()
        if write:
            page.write_bytes(want)
        elif not page.exists() or page.read_bytes() != want:
            stale.append(name)
    for name in stale:
        print(f"{name} differs from what the program prints; write it with: tests/cli/check_pages.py PROGRAM . --write")
    return 1 if stale else 0


sys.exit(main(sys.argv[1], sys.argv[2], "--write" in sys.argv[3:]))
