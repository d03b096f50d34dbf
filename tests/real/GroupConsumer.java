import java.io.BufferedOutputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Ordinary consumers, one behind the other: each joins a group, reads records one by one, commits behind the last one it has processed, and
 * leaves. Canonical lines go to a file in the order in which they were read.
 *
 * usage: GroupConsumer BOOTSTRAP [GROUP TOPIC RESET COUNT FILE]...     COUNT records, or all that are committed at the start: all
 *        GroupConsumer BOOTSTRAP GROUP TOPIC RESET hold                joins, says "joined", stays until a line comes on standard input
 *
 * RESET is what to do without a committed offset: earliest, latest or none.
 */
public final class GroupConsumer {
    public static void main(String[] args) throws Exception {
        boolean holds = args.length == 5 && args[4].equals("hold");
        if (!holds && args.length % 5 != 1) {
            System.err.println("usage: GroupConsumer BOOTSTRAP [GROUP TOPIC RESET COUNT|all FILE]..., or GROUP TOPIC RESET hold");
            System.exit(2);
        }
        for (int i = 1; i < args.length; i += 5) {
            try (KafkaConsumer<byte[], byte[]> consumer = join(args[0], args[i], args[i + 1], args[i + 2])) {
                if (holds) {
                    hold(consumer);
                    return;
                }
                try (OutputStream out = new BufferedOutputStream(Files.newOutputStream(Path.of(args[i + 4])), 1 << 20)) {
                    read(consumer, args[i + 3].equals("all") ? Long.MAX_VALUE : Long.parseLong(args[i + 3]), out);
                }
            }
        }
    }

    private static KafkaConsumer<byte[], byte[]> join(String bootstrap, String group, String topic, String reset) {
        Properties config = new Properties();
        config.put("bootstrap.servers", bootstrap);
        config.put("group.id", group);
        config.put("isolation.level", "read_committed");
        config.put("auto.offset.reset", reset);
        config.put("enable.auto.commit", "false");
        config.put("max.poll.records", "1");
        config.put("fetch.max.wait.ms", "50");
        KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
        consumer.subscribe(List.of(topic));
        return consumer;
    }

    private static void hold(KafkaConsumer<byte[], byte[]> consumer) throws Exception {
        boolean told = false;
        while (System.in.available() == 0) {
            consumer.poll(Duration.ofMillis(50));
            if (!told && !consumer.assignment().isEmpty()) {
                System.out.println("joined");
                System.out.flush();
                told = true;
            }
        }
    }

    private static void read(KafkaConsumer<byte[], byte[]> consumer, long count, OutputStream out) throws Exception {
        CanonicalLine line = new CanonicalLine();
        Map<TopicPartition, Long> ends = null;
        long left = count;
        long deadline = System.nanoTime() + Duration.ofMinutes(2).toNanos();
        while (left > 0 && (ends == null || !behind(consumer, ends))) {
            if (System.nanoTime() > deadline) {
                throw new IllegalStateException("no end after two minutes: " + ends);
            }
            for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(200))) {
                line.place(record.partition(), record.offset(), record.timestamp(), record.timestampType().name, record.key());
                for (Header header : record.headers()) {
                    line.header(header.key().getBytes("UTF-8"), header.value());
                }
                out.write(line.end(record.value()));
                left--;
            }
            if (ends == null && !consumer.assignment().isEmpty()) {
                ends = consumer.endOffsets(consumer.assignment());
            }
        }
        consumer.commitSync();          // of every partition: where it stands, which is behind the one record that the last poll gave
    }

    private static boolean behind(KafkaConsumer<byte[], byte[]> consumer, Map<TopicPartition, Long> ends) {
        for (Map.Entry<TopicPartition, Long> end : ends.entrySet()) {
            if (consumer.position(end.getKey()) < end.getValue()) {
                return false;
            }
        }
        return true;
    }

    private GroupConsumer() {
    }
}
