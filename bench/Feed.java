import static java.nio.charset.StandardCharsets.UTF_8;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.SplittableRandom;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Fills one topic for a benchmark, the same for the same seed: events of about SIZE bytes with a key of 9 bytes, three headers (one
 * name twice, one null value), 1 % tombstones, 5 % of the times out of order. Bodies look like JSON, with enough random in them that
 * zstd -3 makes them about six times smaller, as it does with real ones.
 *
 * usage: Feed BOOTSTRAP TOPIC PARTITIONS EVENTS SIZE [SEED]
 */
public final class Feed {
    private static final long BASE_TIME = 1_790_000_000_000L;
    private static final int RUN = 50;          // events for one partition before the next: else 1,000 partitions get batches of one event
    private static final String[] STATES = {"active", "pending", "cancelled", "expired", "confirmed"};
    private static final String[] CITIES = {"Cardiff", "Bristol", "Leeds", "Glasgow", "Belfast", "Norwich", "Exeter", "York"};
    private static final char[] HEX = "0123456789abcdef".toCharArray();

    private final SplittableRandom random;
    private final int size;

    private Feed(long seed, int size) {
        random = new SplittableRandom(seed);
        this.size = size;
    }

    public static void main(String[] args) throws Exception {
        if (args.length < 5) {
            System.err.println("usage: Feed BOOTSTRAP TOPIC PARTITIONS EVENTS SIZE [SEED]");
            System.exit(2);
        }
        int partitions = Integer.parseInt(args[2]);
        int events = Integer.parseInt(args[3]);
        Feed feed = new Feed(args.length > 5 ? Long.parseLong(args[5]) : 1, Integer.parseInt(args[4]));
        Properties config = new Properties();
        config.put("bootstrap.servers", args[0]);
        try (Admin admin = Admin.create(config)) {
            NewTopic topic = new NewTopic(args[1], partitions, (short) 1).configs(Map.of("retention.ms", "-1"));
            admin.createTopics(List.of(topic)).all().get();
            // Every leader must answer before the first event is sent: batches that a leader refuses because it is not up yet come
            // again in another order, and an idempotent producer then never gets them through.
            Map<TopicPartition, OffsetSpec> asked = new HashMap<>();
            for (int partition = 0; partition < partitions; partition++) {
                asked.put(new TopicPartition(args[1], partition), OffsetSpec.latest());
            }
            awaitLeaders(admin, asked);
        }
        config.put("batch.size", "262144");
        config.put("linger.ms", "20");
        config.put("buffer.memory", "134217728");
        config.put("max.request.size", "4194304");
        AtomicReference<Exception> trouble = new AtomicReference<>();
        long start = System.nanoTime();
        long bytes = 0;
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer())) {
            for (int i = 0; i < events && trouble.get() == null; i++) {
                ProducerRecord<byte[], byte[]> record = feed.record(args[1], i / RUN % partitions, i);
                bytes += record.value() == null ? 0 : record.value().length;
                producer.send(record, (metadata, failure) -> {
                    if (failure != null) {
                        trouble.set(failure);
                    }
                });
            }
        }
        if (trouble.get() != null) {
            throw trouble.get();
        }
        System.out.printf("%s: %d events, %d partitions, %.1f MB of values in %.1f s%n", args[1], events, partitions, bytes / 1e6,
            (System.nanoTime() - start) / 1e9);
    }

    private static void awaitLeaders(Admin admin, Map<TopicPartition, OffsetSpec> asked) throws Exception {
        for (long deadline = System.nanoTime() + 60_000_000_000L;;) {
            try {
                admin.listOffsets(asked).all().get();
                return;
            } catch (ExecutionException notYet) {
                if (System.nanoTime() > deadline) {
                    throw notYet;
                }
                Thread.sleep(20);
            }
        }
    }

    private ProducerRecord<byte[], byte[]> record(String topic, int partition, int number) {
        byte[] key = String.format("k%08d", number % 100_000).getBytes(UTF_8);
        List<Header> headers = new ArrayList<>(3);
        headers.add(new RecordHeader("trace", hex(new StringBuilder(), 8).toString().getBytes(UTF_8)));
        headers.add(new RecordHeader("tag", STATES[number % STATES.length].getBytes(UTF_8)));
        headers.add(new RecordHeader("tag", null));
        long time = BASE_TIME + number + (random.nextInt(20) == 0 ? random.nextInt(-30_000, 30_000) : 0);
        return new ProducerRecord<>(topic, partition, time, key, number % 100 == 99 ? null : body(number), headers);
    }

    /** Two or three random UUIDs, the rest of few words: repeated until it is long enough, then padded to the length. */
    private byte[] body(int number) {
        StringBuilder text = new StringBuilder(size + 64);
        text.append("{\"id\":\"");
        uuid(text).append("\",\"number\":").append(number).append(",\"state\":\"").append(STATES[random.nextInt(STATES.length)]);
        if (size >= 600) {
            text.append("\",\"account\":\"");
            uuid(text).append("\",\"contact\":\"");
            uuid(text);
        }
        text.append("\",\"lines\":[");
        while (text.length() < size - 80) {
            text.append("{\"product\":\"P-").append(random.nextInt(500)).append("\",\"quantity\":").append(1 + random.nextInt(9));
            text.append(",\"city\":\"").append(CITIES[random.nextInt(CITIES.length)]).append("\",\"currency\":\"GBP\"},");
        }
        text.append("{}],\"note\":\"");
        while (text.length() < size - 2) {
            text.append('.');
        }
        return text.append("\"}").toString().getBytes(UTF_8);
    }

    private StringBuilder uuid(StringBuilder text) {
        hex(text, 8).append('-');
        hex(text, 4).append("-4");
        hex(text, 3).append("-a");
        hex(text, 3).append('-');
        return hex(text, 12);
    }

    private StringBuilder hex(StringBuilder text, int digits) {
        long bits = random.nextLong();
        for (int i = 0; i < digits; i++) {
            text.append(HEX[(int) (bits >>> 4 * i) & 15]);
        }
        return text;
    }
}
