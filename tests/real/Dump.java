import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.lang.reflect.Field;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Reads topics completely with the Java client, as a reader of committed records, and writes one canonical line a record, sorted by
 * partition and offset. "Completely" means up to the last stable offset that the broker named at the start.
 *
 * usage: Dump BOOTSTRAP DIR TOPIC...      writes DIR/TOPIC.jsonl
 *        Dump BOOTSTRAP - TOPIC           writes to standard output
 */
public final class Dump {
    public static void main(String[] args) throws Exception {
        if (args.length < 3) {
            System.err.println("usage: Dump BOOTSTRAP DIR|- TOPIC...");
            System.exit(2);
        }
        Properties config = new Properties();
        config.put("bootstrap.servers", args[0]);
        config.put("isolation.level", "read_committed");
        config.put("auto.offset.reset", "none");
        config.put("enable.auto.commit", "false");
        config.put("max.partition.fetch.bytes", "16777216");
        config.put("max.poll.records", "5000");
        config.put("check.crcs", "true");
        // The request after the last record would hold up the next partition.
        config.put("fetch.max.wait.ms", "5");
        try (KafkaConsumer<byte[], byte[]> consumer =
                new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            for (String topic : Arrays.asList(args).subList(2, args.length)) {
                try (OutputStream out = new BufferedOutputStream(
                        args[1].equals("-") ? System.out : Files.newOutputStream(Path.of(args[1], topic + ".jsonl")), 1 << 20)) {
                    dump(consumer, topic, out);
                }
            }
        }
    }

    /** One partition after the other, so that the lines are sorted without holding them. */
    private static void dump(KafkaConsumer<byte[], byte[]> consumer, String topic, OutputStream out) throws Exception {
        List<TopicPartition> partitions = consumer.partitionsFor(topic).stream()
            .map(info -> new TopicPartition(topic, info.partition()))
            .sorted((a, b) -> Integer.compare(a.partition(), b.partition())).collect(Collectors.toList());
        Map<TopicPartition, Long> starts = consumer.beginningOffsets(partitions);
        Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
        CanonicalLine line = new CanonicalLine();
        for (TopicPartition partition : partitions) {
            consumer.assign(List.of(partition));
            consumer.seek(partition, starts.get(partition));
            long end = ends.get(partition);
            long deadline = System.nanoTime() + Duration.ofMinutes(5).toNanos();
            while (consumer.position(partition) < end) {
                if (System.nanoTime() > deadline) {
                    throw new IOException(partition + ": stands at " + consumer.position(partition) + " of " + end);
                }
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(200))) {
                    if (record.offset() < end) {
                        out.write(line(line, record));
                    }
                }
            }
        }
    }

    private static byte[] line(CanonicalLine line, ConsumerRecord<byte[], byte[]> record) {
        line.place(record.partition(), record.offset(), record.timestamp(), record.timestampType().name, record.key());
        for (Header header : record.headers()) {
            line.header(rawName(header), header.value());
        }
        return line.end(record.value());
    }

    /** The name as it came. The client decodes it as UTF-8 and hides what was not; its raw bytes are there until key() is called. */
    private static byte[] rawName(Header header) {
        try {
            Field field = RecordHeader.class.getDeclaredField("keyBuffer");
            field.setAccessible(true);
            ByteBuffer buffer = (ByteBuffer) field.get(header);
            if (buffer == null) {
                throw new IllegalStateException("the name of a header was decoded before");
            }
            ByteBuffer view = buffer.duplicate();
            byte[] raw = new byte[view.remaining()];
            view.get(raw);
            return raw;
        } catch (ReflectiveOperationException changed) {
            throw new IllegalStateException("RecordHeader of this client has no keyBuffer", changed);
        }
    }

    private Dump() {
    }
}
