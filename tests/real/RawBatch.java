import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.CRC32C;

/**
 * One record batch written by hand (Kafka documentation, "Record Batch", magic 2) and sent in a Produce request of version 3, because
 * no client lets through what a broker may hold all the same: negative timestamps, and header names that are not UTF-8.
 */
final class RawBatch {
    private static final byte MAGIC = 2;
    private static final int BYTES_BEFORE_CRC_DATA = 21;

    private record Entry(long timestamp, byte[] key, byte[] value, byte[][] headers) { }

    private final List<Entry> entries = new ArrayList<>();

    /** Headers are name, value, name, value; a value may be null. */
    RawBatch add(long timestamp, byte[] key, byte[] value, byte[]... headers) {
        entries.add(new Entry(timestamp, key, value, headers));
        return this;
    }

    private static void varlong(ByteArrayOutputStream out, long value) {
        long left = (value << 1) ^ (value >> 63);
        while ((left & ~0x7fL) != 0) {
            out.write((int) (left & 0x7f | 0x80));
            left >>>= 7;
        }
        out.write((int) left);
    }

    private static void bytes(ByteArrayOutputStream out, byte[] data) {
        varlong(out, data == null ? -1 : data.length);
        if (data != null) {
            out.writeBytes(data);
        }
    }

    private byte[] encode() {
        long base = entries.get(0).timestamp();
        long newest = base;
        ByteArrayOutputStream records = new ByteArrayOutputStream();
        for (int i = 0; i < entries.size(); i++) {
            Entry entry = entries.get(i);
            newest = Math.max(newest, entry.timestamp());
            ByteArrayOutputStream body = new ByteArrayOutputStream();
            body.write(0);
            varlong(body, entry.timestamp() - base);
            varlong(body, i);
            bytes(body, entry.key());
            bytes(body, entry.value());
            varlong(body, entry.headers().length / 2);
            for (byte[] part : entry.headers()) {
                bytes(body, part);
            }
            varlong(records, body.size());
            records.writeBytes(body.toByteArray());
        }
        ByteBuffer batch = ByteBuffer.allocate(61 + records.size());
        batch.putLong(0).putInt(49 + records.size()).putInt(-1).put(MAGIC).putInt(0);
        batch.putShort((short) 0).putInt(entries.size() - 1).putLong(base).putLong(newest);
        batch.putLong(-1).putShort((short) -1).putInt(-1).putInt(entries.size());
        batch.put(records.toByteArray());
        CRC32C crc = new CRC32C();
        crc.update(batch.array(), BYTES_BEFORE_CRC_DATA, batch.capacity() - BYTES_BEFORE_CRC_DATA);
        batch.putInt(BYTES_BEFORE_CRC_DATA - 4, (int) crc.getValue());
        return batch.array();
    }

    /** The offset of the first record. */
    long send(String bootstrap, String topic, int partition) throws IOException {
        byte[] batch = encode();
        ByteArrayOutputStream request = new ByteArrayOutputStream();
        DataOutputStream out = new DataOutputStream(request);
        out.writeShort(0);              // Produce
        out.writeShort(3);
        out.writeInt(1);                // correlation
        string(out, "odd-events");
        out.writeShort(-1);             // no transaction
        out.writeShort(-1);             // all replicas
        out.writeInt(10000);
        out.writeInt(1);
        string(out, topic);
        out.writeInt(1);
        out.writeInt(partition);
        out.writeInt(batch.length);
        out.write(batch);
        String[] address = bootstrap.split(":");
        try (Socket socket = new Socket(address[0], Integer.parseInt(address[1]))) {
            DataOutputStream to = new DataOutputStream(socket.getOutputStream());
            to.writeInt(request.size());
            to.write(request.toByteArray());
            to.flush();
            DataInputStream from = new DataInputStream(socket.getInputStream());
            from.readInt();             // length
            from.readInt();             // correlation
            from.readInt();             // topics
            from.readUTF();             // a 2-byte length and the name
            from.readInt();             // partitions
            from.readInt();             // partition
            short error = from.readShort();
            long offset = from.readLong();
            if (error != 0) {
                throw new IOException("the broker refused the batch: error " + error);
            }
            return offset;
        }
    }

    private static void string(DataOutputStream out, String text) throws IOException {
        byte[] data = text.getBytes(StandardCharsets.UTF_8);
        out.writeShort(data.length);
        out.write(data);
    }
}
