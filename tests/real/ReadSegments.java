import java.io.BufferedOutputStream;
import java.io.BufferedReader;
import java.io.File;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Collection;
import java.util.Map;
import org.apache.avro.file.DataFileReader;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.util.Utf8;

/**
 * Reads segments with Java Avro. Each line of standard input is a partition number, a blank and the path of a segment; for each the
 * canonical lines of its events go to standard output, then an empty line. read_segments.py drives it.
 */
public final class ReadSegments {
    private static final Map<String, String> TYPES = Map.of("none", "NoTimestampType", "create", "CreateTime", "append", "LogAppendTime");

    public static void main(String[] args) throws Exception {
        OutputStream out = new BufferedOutputStream(System.out, 1 << 20);
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] parts = line.split(" ", 2);
            read(Integer.parseInt(parts[0]), new File(parts[1]), out);
            out.write('\n');
            out.flush();
        }
    }

    private static void read(int partition, File file, OutputStream out) throws Exception {
        CanonicalLine line = new CanonicalLine();
        try (DataFileReader<GenericRecord> reader = new DataFileReader<>(file, new GenericDatumReader<>())) {
            for (GenericRecord record : reader) {
                line.place(partition, (Long) record.get("offset"), (Long) record.get("timestamp"),
                    TYPES.get(record.get("timestamp_type").toString()), bytes(record.get("key")));
                for (Object header : (Collection<?>) record.get("headers")) {
                    GenericRecord pair = (GenericRecord) header;
                    line.header(text(pair.get("name")), bytes(pair.get("value")));
                }
                out.write(line.end(bytes(record.get("value"))));
            }
        }
    }

    /** Stored bytes, whether the schema calls them text or not. */
    private static byte[] text(Object value) {
        if (!(value instanceof Utf8 text)) {
            return bytes(value);
        }
        byte[] copy = new byte[text.getByteLength()];
        System.arraycopy(text.getBytes(), 0, copy, 0, copy.length);
        return copy;
    }

    private static byte[] bytes(Object value) {
        if (value == null) {
            return null;
        }
        ByteBuffer view = ((ByteBuffer) value).duplicate();
        byte[] copy = new byte[view.remaining()];
        view.get(copy);
        return copy;
    }

    private ReadSegments() {
    }
}
