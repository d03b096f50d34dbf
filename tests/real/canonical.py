"""The canonical line of one event, as Dump.java and the segment readers write it: made and parsed here, and nowhere else in Python.

One JSON object a line, sorted by partition and offset:
{"partition":0,"offset":7,"timestamp":1700000000000,"timestampType":"CreateTime","key":BASE64|null,"headers":[[NAME,BASE64|null]],"value":BASE64|null}
A header name that is not UTF-8 stands as {"base64":...}.
"""

import binascii
import json
import typing

TYPES = {"none": "NoTimestampType", "create": "CreateTime", "append": "LogAppendTime"}


class Event(typing.NamedTuple):
    """Bytes are bytes or None; header names are bytes."""
    partition: int
    offset: int
    timestamp: int
    type: str
    key: bytes | None
    headers: tuple
    value: bytes | None

    def where(self):
        return f"partition {self.partition} offset {self.offset}"

    def content(self):
        """Everything but the place."""
        return self[2:]


def _text(data):
    return "null" if data is None else '"' + binascii.b2a_base64(data, newline=False).decode() + '"'


def _name(name):
    try:
        return json.dumps(name.decode("utf-8"))
    except UnicodeDecodeError:
        return '{"base64":' + _text(name) + "}"


def line(event):
    headers = ",".join(f"[{_name(name)},{_text(value)}]" for name, value in event.headers)
    return (f'{{"partition":{event.partition},"offset":{event.offset},"timestamp":{event.timestamp},"timestampType":"{event.type}",'
            f'"key":{_text(event.key)},"headers":[{headers}],"value":{_text(event.value)}}}\n')


def _bytes(text):
    return None if text is None else binascii.a2b_base64(text)


def _name_bytes(name):
    return _bytes(name["base64"]) if isinstance(name, dict) else name.encode("utf-8")


def parse(text):
    raw = json.loads(text)
    return Event(raw["partition"], raw["offset"], raw["timestamp"], raw["timestampType"], _bytes(raw["key"]),
                 tuple((_name_bytes(name), _bytes(value)) for name, value in raw["headers"]), _bytes(raw["value"]))


def read(path):
    """Events of a file, which has to be sorted: (partition, offset) ascends strictly."""
    last = (-1, -1)
    with open(path, encoding="utf-8", newline="\n") as file:
        for text in file:
            event = parse(text)
            if (event.partition, event.offset) <= last:
                raise ValueError(f"{path}: {event.where()} comes behind partition {last[0]} offset {last[1]}")
            last = (event.partition, event.offset)
            yield event
