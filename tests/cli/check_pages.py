"""Compare the committed pages with what the program prints: check_pages.py PROGRAM ROOT [--write].

With --write the pages are written anew instead. Changing a table of the program and this is all it takes to change a page.
"""
import pathlib
import subprocess
import sys

PAGES = {
    "docs/CONFIGURATION.md": ["options", "--format", "markdown"],
    "docs/hubvault.1.scd": ["options", "--format", "man"],
    "completions/hubvault.bash": ["completion"],
}


def printed(program, words):
    # Nothing of this machine may show up in a page.
    return subprocess.run([program, *words], check=True, capture_output=True, env={"PATH": "/usr/bin:/bin"}, timeout=30).stdout


def main(program, root, write):
    stale = []
    for name, words in PAGES.items():
        page, want = pathlib.Path(root, name), printed(program, words)
        if write:
            page.write_bytes(want)
        elif not page.exists() or page.read_bytes() != want:
            stale.append(name)
    for name in stale:
        print(f"{name} differs from what the program prints; write it with: tests/cli/check_pages.py PROGRAM . --write")
    return 1 if stale else 0


sys.exit(main(sys.argv[1], sys.argv[2], "--write" in sys.argv[3:]))
