import static java.nio.charset.StandardCharsets.UTF_8;

import com.github.luben.zstd.ZstdInputStream;
import java.io.BufferedInputStream;
import java.io.ByteArrayInputStream;
import java.io.DataInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.avro.file.DataFileReader;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Whether two places hold the same events, without comparing gigabytes of text: per partition the number of events, the bytes of keys
 * and values, and one SHA-256 over every field of every event in order. The topic is read by the Java client, a vault by Avro for
 * Java, an archive of OSO kafka-backup after the layout at the top of its segment/format.rs; none of them shares code with hubvault.
 *
 * usage: Digest hub BOOTSTRAP TOPIC | vault FOLDER HUB | oso FOLDER TOPIC     [sequence] [untyped]
 *
 * sequence: events count by their place in the partition, not by their offset (a topic that was written by a replay).
 * untyped: the type of the timestamp does not count (OSO does not keep it).
 */
public final class Digest {
    private static final byte[] NONE = {-1, -1, -1, -1};
    private static final byte[] MAGIC = "KBAK".getBytes(UTF_8);

    private final boolean sequence;
    private final boolean untyped;
    private final Map<Integer, Partition> partitions = new TreeMap<>();

    private static final class Partition {
        private final MessageDigest sha256 = sha256();
        private long events;
        private long bytes;
    }

    private Digest(List<String> flags) {
        sequence = flags.contains("sequence");
        untyped = flags.contains("untyped");
    }

    public static void main(String[] args) throws Exception {
        Digest digest = new Digest(List.of(args).subList(3, args.length));
        switch (args[0]) {
            case "hub" -> digest.hub(args[1], args[2]);
            case "vault" -> digest.vault(Path.of(args[1]), args[2]);
            case "oso" -> digest.oso(Path.of(args[1]), args[2]);
            default -> throw new IllegalArgumentException(args[0]);
        }
        long events = 0;
        long bytes = 0;
        for (Map.Entry<Integer, Partition> entry : digest.partitions.entrySet()) {
            Partition partition = entry.getValue();
            System.out.println(entry.getKey() + " " + partition.events + " " + HexFormat.of().formatHex(partition.sha256.digest()));
            events += partition.events;
            bytes += partition.bytes;
        }
        System.out.println("total " + events + " " + bytes);
    }

    private static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (java.security.NoSuchAlgorithmException impossible) {
            throw new IllegalStateException(impossible);
        }
    }

    // ---- one event: begin(), header() for each header, end() ----

    private final ByteBuffer small = ByteBuffer.allocate(32);

    private Partition begin(int number, long offset, long timestamp, String type, int headers, byte[] key) {
        Partition partition = partitions.computeIfAbsent(number, none -> new Partition());
        small.clear().putLong(sequence ? partition.events : offset).putLong(timestamp).put((byte) (untyped ? 0 : type.charAt(0)));
        partition.sha256.update(small.putInt(headers).flip());
        add(partition, key);
        partition.events++;
        partition.bytes += key == null ? 0 : key.length;
        return partition;
    }

    private void add(Partition partition, byte[] data) {
        if (data == null) {
            partition.sha256.update(NONE);
            return;
        }
        partition.sha256.update(small.clear().putInt(data.length).flip());
        partition.sha256.update(data);
    }

    private void end(Partition partition, byte[] value) {
        add(partition, value);
        partition.bytes += value == null ? 0 : value.length;
    }

    // ---- where events are ----

    private void hub(String bootstrap, String topic) {
        Properties config = new Properties();
        config.putAll(Map.of("bootstrap.servers", bootstrap, "isolation.level", "read_committed", "auto.offset.reset", "none",
            "enable.auto.commit", "false", "max.partition.fetch.bytes", "4194304", "max.poll.records", "10000", "fetch.max.wait.ms", "50"));
        try (KafkaConsumer<byte[], byte[]> consumer =
                new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            List<TopicPartition> all = consumer.partitionsFor(topic).stream()
                .map(info -> new TopicPartition(topic, info.partition())).collect(Collectors.toList());
            Map<TopicPartition, Long> ends = new HashMap<>(consumer.endOffsets(all));
            consumer.assign(all);
            consumer.seekToBeginning(all);
            all.forEach(partition -> partitions.computeIfAbsent(partition.partition(), none -> new Partition()));
            while (!ends.isEmpty()) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(200))) {
                    add(record);
                }
                ends.entrySet().removeIf(entry -> consumer.position(entry.getKey()) >= entry.getValue());
            }
        }
    }

    private void add(ConsumerRecord<byte[], byte[]> record) {
        Header[] headers = record.headers().toArray();
        Partition partition = begin(record.partition(), record.offset(), record.timestamp(),
            record.timestampType().name.startsWith("C") ? "create" : "append", headers.length, record.key());
        for (Header header : headers) {
            add(partition, header.key().getBytes(UTF_8));
            add(partition, header.value());
        }
        end(partition, record.value());
    }

    /** The files of every partition below a folder with folders partition=N, by name. */
    private static Map<Integer, List<Path>> files(Path folder, String ending) throws IOException {
        try (Stream<Path> all = Files.walk(folder)) {
            return all.filter(path -> path.toString().endsWith(ending) && path.getParent().getFileName().toString().startsWith("partition="))
                .sorted().collect(Collectors.groupingBy(
                    path -> Integer.parseInt(path.getParent().getFileName().toString().substring(10)), TreeMap::new, Collectors.toList()));
        }
    }

    private void vault(Path folder, String hub) throws IOException {
        for (Map.Entry<Integer, List<Path>> entry : files(folder.resolve("segments/hub=" + hub + "/incarnation=1"), ".avro").entrySet()) {
            for (Path path : entry.getValue()) {
                try (DataFileReader<GenericRecord> reader = new DataFileReader<>(path.toFile(), new GenericDatumReader<>())) {
                    for (GenericRecord record = null; reader.hasNext();) {
                        record = reader.next(record);
                        add(entry.getKey(), record);
                    }
                }
            }
        }
    }

    private void add(int number, GenericRecord record) {
        Collection<?> headers = (Collection<?>) record.get("headers");
        Partition partition = begin(number, (Long) record.get("offset"), (Long) record.get("timestamp"),
            record.get("timestamp_type").toString(), headers.size(), bytes(record.get("key")));
        for (Object header : headers) {
            GenericRecord pair = (GenericRecord) header;
            Object name = pair.get("name");
            add(partition, name instanceof ByteBuffer ? bytes(name) : name.toString().getBytes(UTF_8));
            add(partition, bytes(pair.get("value")));
        }
        end(partition, bytes(record.get("value")));
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

    private void oso(Path folder, String topic) throws IOException {
        for (Map.Entry<Integer, List<Path>> entry : files(folder.resolve("topics/" + topic), ".zst").entrySet()) {
            for (Path path : entry.getValue()) {
                segment(entry.getKey(), Files.readAllBytes(path));
            }
        }
    }

    /** A head of 32 bytes, the records in one zstd frame, a foot of 8 bytes. */
    private void segment(int number, byte[] file) throws IOException {
        if (file.length < 40 || !java.util.Arrays.equals(file, 0, 4, MAGIC, 0, 4)) {
            throw new IOException("not a segment");
        }
        InputStream body = new ZstdInputStream(new ByteArrayInputStream(file, 32, file.length - 40));
        try (DataInputStream in = new DataInputStream(new BufferedInputStream(body, 1 << 20))) {
            for (long left = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN).getLong(8); left > 0; left--) {
                byte[] data = in.readNBytes(Integer.reverseBytes(in.readInt()));
                add(number, ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN));
            }
        }
    }

    private void add(int number, ByteBuffer record) {
        long timestamp = record.getLong();
        long offset = record.getLong();
        byte[] key = take(record, record.getInt());
        byte[] value = take(record, record.getInt());
        int headers = Short.toUnsignedInt(record.getShort());
        Partition partition = begin(number, offset, timestamp, "none", headers, key);
        for (int h = 0; h < headers; h++) {
            add(partition, take(record, Short.toUnsignedInt(record.getShort())));
            add(partition, take(record, record.getInt()));
        }
        end(partition, value);
    }

    private static byte[] take(ByteBuffer record, int length) {
        if (length < 0) {
            return null;
        }
        byte[] data = new byte[length];
        record.get(data);
        return data;
    }
}
