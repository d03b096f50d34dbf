"""Turn an Avro schema into C: embed_schema.py SCHEMA OUTPUT.

The text is one line, keys in the order of the file, without blanks and without "doc", so that a better explanation does not change
a stored byte.
"""
import json
import pathlib
import sys


def without_docs(node):
    if isinstance(node, list):
        return [without_docs(item) for item in node]
    if isinstance(node, dict):
        return {key: without_docs(value) for key, value in node.items() if key != "doc"}
    return node


schema = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="ascii"))
line = json.dumps(without_docs(schema), separators=(",", ":"), ensure_ascii=True)
literal = json.dumps(line, ensure_ascii=True)  # a C string, too: printable ASCII, only quotes escaped
pathlib.Path(sys.argv[2]).write_text(
    f'#include "segment/segment_file.h"\n\nconst char hv_event_schema[] = {literal};\n', encoding="ascii")
