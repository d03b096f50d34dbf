"""What `hubvault replay` writes, read back without hubvault: JSON lines, Avro containers and raw values as canonical events."""

import base64
import datetime
import json
import pathlib
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import parts  # noqa: E402

parts.use_venv()

import fastavro  # noqa: E402
import fastavro.read  # noqa: E402

import canonical  # noqa: E402

fastavro.read.LOGICAL_READERS.pop("long-timestamp-millis", None)
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def milliseconds(time):
    """Text where the calendar has a date, else the number."""
    if isinstance(time, int):
        return time
    return (datetime.datetime.fromisoformat(time) - EPOCH) // datetime.timedelta(milliseconds=1)


def member(raw, name):
    """"name":null, "name":"text" or "name_base64":"..."; exactly one of them."""
    if f"{name}_base64" in raw:
        if name in raw:
            raise ValueError(f"{name} and {name}_base64 in {raw}")
        return base64.b64decode(raw[f"{name}_base64"], validate=True)
    return None if raw[name] is None else raw[name].encode("utf-8")


def json_lines(path):
    """(hub, incarnation, event, raw object): for --body base64 the value of the event is right, else look into the object."""
    with open(path, "rb") as file:
        for line in file:
            raw = json.loads(line, parse_float=str, parse_int=str, object_pairs_hook=Pairs)
            value = base64.b64decode(raw["value_base64"], validate=True) if "value_base64" in raw else None
            time = raw["timestamp"]
            yield raw["hub"], int(raw["incarnation"]), canonical.Event(
                int(raw["partition"]), int(raw["offset"]), milliseconds(int(time) if "T" not in time else time),
                canonical.TYPES[raw["timestampType"]], member(raw, "key"),
                tuple((member(header, "name"), member(header, "value")) for header in raw["headers"]), value), raw


class Pairs(dict):
    """An object that remembers duplicates and order of its members, so that two texts compare as what they say."""

    def __init__(self, pairs):
        super().__init__(pairs)
        self.pairs = pairs

    def __eq__(self, other):
        return isinstance(other, Pairs) and self.pairs == other.pairs

    __hash__ = None


def parsed(body):
    """What a JSON text says, numbers as they are written."""
    return json.loads(body, parse_float=str, parse_int=str, object_pairs_hook=Pairs, parse_constant=not_json)


def not_json(name):
    raise ValueError(f"{name} is no JSON")


def avro_container(path):
    with open(path, "rb") as file:
        for record in fastavro.reader(file, handle_unicode_errors="surrogateescape"):
            yield record["hub"], record["incarnation"], canonical.Event(
                record["partition"], record["offset"], record["timestamp"], canonical.TYPES[record["timestamp_type"]], record["key"],
                tuple((header["name"].encode("utf-8", "surrogateescape"), header["value"]) for header in record["headers"]), record["value"])


def length_prefixed(path):
    data, at = pathlib.Path(path).read_bytes(), 0
    while at < len(data):
        length, = struct.unpack_from(">I", data, at)
        yield data[at + 4:at + 4 + length]
        at += 4 + length
