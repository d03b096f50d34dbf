"""Hold docs/operations to the program: check_operations.py PROGRAM ROOT.

Every metric that an alert or a panel names exists, is used as its type wants, and with labels that it has; every alert has a section of the
runbook, every section an alert; what the runbook names (log lines, commands, options) exists.
"""
import json
import pathlib
import re
import subprocess
import sys

PROGRAM, FOLDER = sys.argv[1], pathlib.Path(sys.argv[2]) / "docs/operations"
TARGET_LABELS = {"job", "instance"}     # that Prometheus adds
ONLY_RATES = ("rate", "increase", "irate", "resets")
FOR_GAUGES = ("deriv", "delta", "changes", "min_over_time", "max_over_time", "avg_over_time")
NAME = re.compile(r"\b((?:hubvault|process)_[a-z_]+)(\{[^}]*\})?(\[[^]]*\])?")


def printed(*words):
    return subprocess.run([PROGRAM, *words], check=True, capture_output=True, text=True, timeout=30, env={"PATH": "/usr/bin:/bin"}).stdout


def metrics():
    return {row["name"]: row for row in map(json.loads, printed("metrics", "--output", "json").splitlines())}


def alerts():
    """[(name, expression, runbook url)] of the form in which alerts.yml is written."""
    found, text = [], (FOLDER / "alerts.yml").read_text()
    for block in text.split("      - alert: ")[1:]:
        expression = re.search(r"^        expr: (?:>-\n((?:          .*\n)+)|(.*)\n)", block, re.M)
        url = re.search(r"runbook_url: (\S+)", block)
        found.append((block.split("\n")[0], " ".join((expression[1] or expression[2]).split()), url[1] if url else ""))
    return found


def panels():
    """[(place, expression)] of everything that asks for metrics."""
    board = json.loads((FOLDER / "dashboard.json").read_text())
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            yield "variable " + variable["name"], variable["definition"]
    for annotation in board["annotations"]["list"]:
        yield annotation["name"], annotation["expr"]


def base_of(name, table):
    """The metric, and which series of a histogram."""
    for suffix in ("_bucket", "_sum", "_count"):
        base = name.removesuffix(suffix)
        if base != name and base in table and table[base]["type"] == "histogram":
            return base, suffix
    return name, ""


def wrong_use(place, expression, table):
    for match in NAME.finditer(expression):
        name, matchers, window = match.groups()
        base, suffix = base_of(name, table)
        if base not in table:
            yield f"{place}: there is no metric '{name}'"
            continue
        kind, labels = table[base]["type"], set(table[base]["labels"].split()) | TARGET_LABELS | ({"le"} if suffix == "_bucket" else set())
        around = re.findall(r"([a-z_]+)\($", expression[:match.start()])
        if kind == "histogram" and not suffix:
            yield f"{place}: '{name}' is a histogram, which has no series of that name"
        grows = kind in ("counter", "histogram")
        if grows and window and (not around or around[0] not in ONLY_RATES):
            yield f"{place}: '{name}' only grows: it wants rate() or increase()"
        if not grows and window and (not around or around[0] not in FOR_GAUGES):
            yield f"{place}: '{name}' goes up and down: '{around[0] if around else 'nothing'}' is not for it"
        if suffix == "_bucket" and "histogram_quantile" not in expression:
            yield f"{place}: '{name}' without histogram_quantile()"
        for label in re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"', matchers or ""):
            if label not in labels:
                yield f"{place}: '{name}' has no label '{label}'"
    names = [base_of(match[1], table)[0] for match in NAME.finditer(expression)]
    known = {label for name in names if name in table for label in table[name]["labels"].split()} | TARGET_LABELS | {"le"}
    for group in re.findall(r"\bby \(([^)]*)\)", expression):
        for label in re.split(r",\s*", group):
            if label not in known:
                yield f"{place}: none of its metrics has a label '{label}'"


def wrong_runbook(named):
    text = (FOLDER / "RUNBOOK.md").read_text()
    sections = re.findall(r"^## (Hubvault\w+)$", text, re.M)
    for name, _, url in named:
        if name not in sections:
            yield f"RUNBOOK.md: no section for '{name}'"
        if url != f"RUNBOOK.md#{name.lower()}":
            yield f"alerts.yml: '{name}' points to '{url}'"
    for section in sections:
        if section not in [name for name, _, _ in named]:
            yield f"RUNBOOK.md: '{section}' is no alert"
        if sections.count(section) > 1:
            yield f"RUNBOOK.md: '{section}' stands there twice"
    for section in text.split("\n## Hubvault")[1:]:
        for part in ("**Means.**", "**Look at.**", "**Do.**"):
            if part not in section:
                yield f"RUNBOOK.md: Hubvault{section.split(chr(10))[0]} lacks {part}"


def wrong_names(page, table):
    """Log lines, commands, options and metrics that a page names in `code`."""
    events = {json.loads(line)["event"] for line in printed("logs", "--output", "json").splitlines()}
    options = {json.loads(line)["option"] for line in printed("options", "--output", "json").splitlines()}
    help_text = printed("--help")
    text = (FOLDER / page).read_text()
    for name in re.findall(r"`event=([a-z-]+)`", text):
        if name not in events:
            yield f"{page}: there is no log line '{name}'"
    for name in re.findall(r"`((?:archiver|segment|source|store|index|log|oauth|http|metrics)\.[a-z-]+)", text):
        if name not in options:
            yield f"{page}: there is no option '{name}'"
    for name in re.findall(r"`((?:hubvault|process)_[a-z_]+)", text):
        if base_of(name, table)[0] not in table:
            yield f"{page}: there is no metric '{name}'"
    for verb in re.findall(r"`hubvault ([a-z]+(?: (?:rebuild|stats|dump|ls|translate))?)\b", text):
        if not re.search(rf"^ +{verb}\b", help_text, re.M):
            yield f"{page}: there is no command '{verb}'"


def main():
    table, named = metrics(), alerts()
    declared = (FOLDER / "alerts.yml").read_text().count("- alert:")
    complaints = [] if declared == len(named) and named else [f"alerts.yml: {declared} alerts, of which this test can read {len(named)}"]
    for name, expression, _ in named:
        complaints += wrong_use(name, expression, table)
    shown = list(panels())
    for place, expression in shown:
        complaints += wrong_use(place, expression, table)
    complaints += wrong_runbook(named)
    for page in ("RUNBOOK.md", "README.md"):
        complaints += wrong_names(page, table)
    print("\n".join(complaints))
    return 1 if complaints or len(shown) < 20 else 0


sys.exit(main())
