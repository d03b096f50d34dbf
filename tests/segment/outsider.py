"""Check segments as somebody who has docs/FORMAT.md and Python, and nothing of hubvault: outsider.py SEGMENT...

Everything that docs/FORMAT.md section 9 tells a reader to check is checked. If NAME.events.jsonl lies beside NAME.avro, the events are
compared with it. Prints one line per segment; the exit status is 1 if one is bad.
"""
import ctypes
import hashlib
import io
import json
import pathlib
import sys
import zlib

SYNC_SIZE = 16
LIMIT = 512 << 20


def need(condition, what):
    if not condition:
        raise ValueError(what)


def long(stream):
    value = shift = 0
    while True:
        byte = stream.read(1)
        need(byte and shift < 64, "a number is cut off or too long")
        value |= (byte[0] & 0x7F) << shift
        shift += 7
        if byte[0] < 0x80:
            return (value >> 1) ^ -(value & 1)


def counted(stream):
    length = long(stream)
    need(0 <= length <= LIMIT, "impossible length")
    data = stream.read(length)
    need(len(data) == length, "bytes are cut off")
    return data


def optional(stream):
    branch = long(stream)
    need(branch in (0, 1), "unknown union branch")
    return counted(stream) if branch else None


def blocks_of(stream, item):
    """Avro arrays and maps: blocks of a count and that many items, until a count of 0."""
    while count := long(stream):
        if count < 0:
            long(stream)  # the size in bytes
        for _ in range(abs(count)):
            yield item(stream)


def hexed(data):
    return None if data is None else data.hex()


def event(stream):
    def header(s):
        return [hexed(counted(s)), hexed(optional(s))]

    result = {"offset": long(stream), "timestamp": long(stream), "timestamp_type": ("none", "create", "append")[long(stream)],
              "key": hexed(optional(stream)), "headers": list(blocks_of(stream, header)), "value": hexed(optional(stream))}
    need(long(stream) == 0, "a sealed event")
    return result


def unzstd(data):
    library = ctypes.CDLL("libzstd.so.1")
    library.ZSTD_getFrameContentSize.restype = ctypes.c_ulonglong
    library.ZSTD_decompress.restype = ctypes.c_size_t
    size = library.ZSTD_getFrameContentSize(data, ctypes.c_size_t(len(data)))
    need(size <= LIMIT, "a frame without content size, or too large")
    room = ctypes.create_string_buffer(size or 1)
    got = library.ZSTD_decompress(room, ctypes.c_size_t(size), data, ctypes.c_size_t(len(data)))
    need(got == size, "bad zstandard frame")
    return room.raw[:size]


def inflate(data):
    codec = zlib.decompressobj(-15)
    raw = codec.decompress(data, LIMIT)
    need(codec.eof and not codec.unused_data, "bad deflate stream")
    return raw


CODECS = {b"null": bytes, b"deflate": inflate, b"zstandard": unzstd}


def merkle(leaves):
    """RFC 6962 section 2.1."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\1" + merkle(leaves[:split]) + merkle(leaves[split:])).digest()


def offsets(ranges):
    return [offset for first, end, *_ in ranges for offset in range(first, end)]


def own_offsets(header):
    classes = dict((name, offsets(ranges)) for name, ranges in header["classes"])
    missing = set(offsets(header["missing"]))
    if header["lead"] is not None:
        return [offset for offset in classes[header["class"]] if offset not in missing]
    taken = set(offsets(header["gaps"])).union(*classes.values())
    return [offset for offset in range(*header["cut"]) if offset not in taken]


def check_header(header):
    own, seen, position = own_offsets(header), 0, 0
    for at, length, first, count, low, high, _ in header["blocks"]:
        need(at == position and own[seen] == first and header["min_timestamp"] <= low <= high <= header["max_timestamp"], "block table")
        position += length
        seen += count
    need(seen == header["count"] == len(own) and position == header["blocks_bytes"], "sums of the block table")
    need(merkle([bytes.fromhex(row[6]) for row in header["blocks"]]).hex() == header["merkle_root"], "Merkle root")
    return own


def check_block(row, stored, codec, sync):
    need(hashlib.sha256(stored).hexdigest() == row[6], "SHA-256 of a block")
    stream = io.BytesIO(stored)
    need(long(stream) == row[3], "count of a block")
    data = counted(stream)
    need(stream.read() == sync, "sync marker")
    raw = io.BytesIO(CODECS[codec](data))
    events = [event(raw) for _ in range(row[3])]
    need(not raw.read(), "bytes behind the last event of a block")
    times = [one["timestamp"] for one in events]
    need([min(times), max(times)] == row[4:6], "timestamps of a block")
    return events


def check_segment(blob):
    stream = io.BytesIO(blob)
    need(stream.read(4) == b"Obj\x01", "not an Avro file")
    meta = list(blocks_of(stream, lambda s: (counted(s), counted(s))))
    need(len(meta) == len(dict(meta)), "a doubled metadata entry")
    meta, sync = dict(meta), stream.read(SYNC_SIZE)
    need(set(meta) == {b"avro.codec", b"avro.schema", b"hubvault.check", b"hubvault.segment"}, "metadata entries")
    check = hashlib.sha256(meta[b"avro.codec"] + meta[b"avro.schema"] + meta[b"hubvault.segment"] + sync).hexdigest()
    need(check.encode() == meta[b"hubvault.check"], "hubvault.check")
    header, start = json.loads(meta[b"hubvault.segment"]), stream.tell()
    need(header["format"] == 1, "format")
    own = check_header(header)
    need(start + header["blocks_bytes"] == len(blob), "length of the segment")
    events = []
    for row in header["blocks"]:
        at = start + row[0]
        events += check_block(row, blob[at:at + row[1]], meta[b"avro.codec"], sync)
    need([one["offset"] for one in events] == own, "offsets")
    return events


def main(paths):
    good = bool(paths)
    for path in map(pathlib.Path, paths):
        try:
            events = check_segment(path.read_bytes())
            beside = path.with_suffix(".events.jsonl")
            if beside.exists():
                need(events == [json.loads(line) for line in beside.read_text().splitlines()], "other events than expected")
            print(f"{path.name}: {len(events)} events, good")
        except (ValueError, KeyError, IndexError, zlib.error) as problem:
            good = False
            print(f"{path.name}: BAD: {problem}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
