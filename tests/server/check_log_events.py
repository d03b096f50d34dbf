"""Hold the code to the table of log lines (server/log_events.h): check_log_events.py ROOT.

Every event of the table is written somewhere, every line goes through the table, and a line has the fields that its row names.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1])
TABLE = ROOT / "server/log_events.h"
FOLDERS = ["source", "segment", "storage", "index", "archiver", "replay", "server", "cli"]
ROW = re.compile(r'X\((\w+), (\w+), "([a-z-]+)",((?:\s*(?:\\\n)?\s*"[^"]*")+),((?:\s*(?:\\\n)?\s*"[^"]*")+),', re.M)


def rows():
    found = {}
    for name, _level, event, _msg, fields in ROW.findall(TABLE.read_text()):
        words = "".join(re.findall(r'"([^"]*)"', fields)).split()
        found[name] = {"event": event, "fields": {word.rstrip("?"): word.endswith("?") for word in words}}
    return found


def functions(text):
    """Bodies of functions: both braces stand in the first column."""
    return re.findall(r"^\{\n(.*?)^\}", text, re.M | re.S)


def main():
    table, complaints, seen = rows(), [], {}
    declared = len(re.findall(r"^    X\(", TABLE.read_text(), re.M))
    if declared != len(table):
        complaints.append(f"{TABLE.name}: {declared} rows, of which this test can read {len(table)}")
    ids = [row["event"] for row in table.values()]
    complaints += [f"{TABLE.name}: '{event}' stands there twice" for event in set(ids) if ids.count(event) > 1]
    for path in sorted(path for folder in FOLDERS for path in (ROOT / folder).glob("*.[ch]") if path.stem != "log_events"):
        text = path.read_text()
        if re.search(r"\bhv_log_write\(|\bHV_LOG\(", text):
            complaints.append(f"{path.name}: a line that is not in the table; use HV_LINE()")
        for body in functions(text):
            used = set(re.findall(r"\bHV_LINE_([A-Z_]+)\b", body)) | set(re.findall(r"\bHV_LINE\([^,]+, ([A-Z_]+)", body))
            for name in used:
                seen.setdefault(name, set())
            fields = set(re.findall(r'\bHV_LOG_[NT]\("(\w+)"', body))
            complaints += [f"{path.name}: HV_LINE_{name} is not in the table" for name in used - set(table)]
            known = {field for name in used & set(table) for field in table[name]["fields"]}
            if used and path.stem != "report_log":      # there the fields are put together; test_report_log looks at each line
                complaints += [f"{path.name}: field '{field}' is not in the row of {' or '.join(sorted(used))}" for field in fields - known]
                for name in used:
                    seen[name] |= fields
    for name, row in table.items():
        if name not in seen:
            complaints.append(f"{TABLE.name}: nobody writes '{row['event']}'")
        elif seen[name]:
            complaints += [f"{TABLE.name}: nobody gives '{row['event']}' its field '{field}'" for field in set(row["fields"]) - seen[name]]
    print("\n".join(complaints))
    return 1 if complaints or not table else 0


sys.exit(main())
