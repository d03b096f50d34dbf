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

FINDINGS_PAGE = "docs/VERIFY.md"        # written by hand, but for what stands between these lines
BEGIN, END = "<!-- printed by the program: begin -->\n", "<!-- printed by the program: end -->\n"


def printed(program, words):
    # Nothing of this machine may show up in a page.
    return subprocess.run([program, *words], check=True, capture_output=True, env={"PATH": "/usr/bin:/bin"}, timeout=30).stdout


def findings(program):
    rows = [json.loads(line) for line in printed(program, ["findings", "--output", "json"]).splitlines()]
    entries = [f"**{row['kind']}**: {row['meaning']}. *To do:* {row['advice']}" for row in rows]
    return "\n".join(textwrap.fill(entry, 130, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False) + "\n" for entry in entries)


def with_findings(program, page):
    text = page.read_text()
    before, rest = text.split(BEGIN)
    return (before + BEGIN + "\n" + findings(program) + "\n" + END + rest.split(END)[1]).encode()


def main(program, root, write):
    stale = []
    pages = {name: (lambda words=words: printed(program, words)) for name, words in PAGES.items()}
    pages[FINDINGS_PAGE] = lambda: with_findings(program, pathlib.Path(root, FINDINGS_PAGE))
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
