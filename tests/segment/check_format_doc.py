"""docs/FORMAT.md against the files that it describes: check_format_doc.py FORMAT.md GOLDEN-FOLDER.

The schema, the examples of records, and every line of the hexdump must be those of the golden files; the shell commands must run on each golden segment,
and must fail on a damaged one.
"""
import hashlib
import json
import pathlib
import re
import subprocess
import sys
import tempfile

doc = pathlib.Path(sys.argv[1]).read_text(encoding="utf-8")
golden = pathlib.Path(sys.argv[2])


def fenced(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", doc, re.DOTALL | re.MULTILINE)


def schema_agrees():
    line = fenced("schema")[0].rstrip("\n").encode()
    assert line in (golden / "tiny.avro").read_bytes(), "the schema is not the one in tiny.avro"
    assert hashlib.sha256(line).hexdigest() in doc, "the SHA-256 of the schema"


def marker_agrees():
    assert fenced("json")[0] == (golden / "vault.json").read_text(), "the example of a vault marker"


def snapshots_agree():
    lines = fenced("snapshot")[0].splitlines()
    for line in lines:
        assert json.dumps(json.loads(line), separators=(",", ":")) == line, f"not canonical: {line}"
    assert {"settings", "offsets"} <= {field for line in lines for field in json.loads(line)}, "an example of each kind"
    assert hashlib.sha256(b"billing").hexdigest()[:32] in (pathlib.Path(__file__).parent / "test_names.c").read_text(), "the key of a group"


def hexdump_agrees():
    blob = (golden / "tiny.avro").read_bytes()
    rows = [line for line in fenced("hexdump")[0].splitlines() if line != "..."]
    assert len(rows) > 40, "the hexdump is short"
    for line in rows:
        at = int(line[:8], 16)
        row = blob[at:at + 16]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        assert line == f"{at:08x}  {' '.join(f'{byte:02x}' for byte in row):<47}  {text}", f"hexdump: {line}"


def run_commands(blob):
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "segment.avro").write_bytes(blob)
        return subprocess.run(["sh", "-e", "-c", fenced("sh")[0]], cwd=folder, capture_output=True, text=True, check=False)


def commands_agree():
    for path in sorted(golden.glob("*.avro")):
        result = run_commands(path.read_bytes())
        assert result.returncode == 0, f"{path.name}: {result.stdout}{result.stderr}"
        assert hashlib.sha256(path.read_bytes()).hexdigest() in result.stdout, f"{path.name}: SHA-256"
    damaged = bytearray((golden / "tiny.avro").read_bytes())
    damaged[-20] ^= 1
    assert "bad block" in run_commands(bytes(damaged)).stdout, "the commands do not notice damage"


schema_agrees()
marker_agrees()
snapshots_agree()
hexdump_agrees()
commands_agree()
