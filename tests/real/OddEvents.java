import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.SplittableRandom;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Makes every odd thing that a Kafka topic can hold, the same every time, stage by stage, so that a test can act between stages.
 *
 * usage: OddEvents BOOTSTRAP STAGE...      stages in the order given; see the switch in stage()
 *
 * Topics are called odd.*; "topics" prints their names, one a line. topic:NAME:PARTITIONS[:KEY:VALUE]... creates another one that takes
 * any time, for replays. Partitions are chosen here and batches are sent in order by one producer, so offsets are the same in every run.
 */
public final class OddEvents {
    private static final String FOREVER = Long.toString(Long.MAX_VALUE);
    private static final String[] CODECS = {"none", "gzip", "snappy", "lz4", "zstd"};
    private static final String LONGEST_NAME = "odd.longest-name." + "n".repeat(249 - 17);
    private static final String NUL_NAMES = "odd.nul-names";     // apart: librdkafka gives names of headers as C strings
    private static final String OPEN_TRANSACTION = "odd-open-transaction";
    private static final long BASE_TIME = 1_700_000_000_000L;
    private static final int LARGE = 5 << 20;

    private final String bootstrap;
    private final Admin admin;
    private final KafkaProducer<byte[], byte[]> producer;

    private OddEvents(String bootstrap) {
        this.bootstrap = bootstrap;
        Properties config = new Properties();
        config.put("bootstrap.servers", bootstrap);
        admin = Admin.create(config);
        producer = producer(Map.of());
    }

    public static void main(String[] args) throws Exception {
        if (args.length < 2) {
            System.err.println("usage: OddEvents BOOTSTRAP STAGE...");
            System.exit(2);
        }
        OddEvents odd = new OddEvents(args[0]);
        for (int i = 1; i < args.length; i++) {
            odd.stage(args[i]);
        }
        odd.producer.close();
        odd.admin.close();
    }

    private void stage(String name) throws Exception {
        if (name.startsWith("topic:")) {
            String[] parts = name.split(":");
            Map<String, NewTopic> one = new LinkedHashMap<>();
            topic(one, parts[1], Integer.parseInt(parts[2]), Arrays.copyOfRange(parts, 3, parts.length));
            create(one);
            return;
        }
        switch (name) {
            case "topics" -> topics().keySet().forEach(System.out::println);
            case "create" -> create(topics());
            case "shapes" -> shapes();                          // null, empty, tombstones, headers, every byte
            case "times" -> times();                            // zero, out of order, far future; and times set by the broker
            case "raw" -> raw();                                // negative times, header names that are not UTF-8
            case "codecs" -> codecs();
            case "bulk" -> bulk(0, 20_000);
            case "large" -> large();
            case "transactions" -> transactions();              // committed, aborted, and plain ones between
            case "open-transaction" -> openTransaction();       // ends this process, the transaction stays open
            case "end-transaction" -> endTransaction();         // aborts it
            case "hold-transaction" -> holdTransaction();       // open until a line "commit" or "abort" comes on standard input
            case "compact" -> compact();                        // returns when the holes are there
            case "trim" -> numbered("odd.trimmed", 2, 100);
            case "delete-records" -> deleteRecords();           // after "trim"
            case "again" -> numbered("odd.again", 2, 50);
            case "recreate" -> recreate();                      // after "again": deleted, created, other events from offset 0
            case "grow" -> numbered("odd.growing", 2, 40);
            case "add-partitions" -> addPartitions();           // after "grow"
            case "more" -> more();                              // a second wave
            case "all" -> {
                for (String one : List.of("create", "shapes", "times", "raw", "codecs", "bulk", "large", "transactions", "compact",
                        "trim", "delete-records", "again", "grow")) {
                    stage(one);
                }
            }
            default -> throw new IllegalArgumentException("no stage '" + name + "'");
        }
        producer.flush();
        System.err.println("odd events: " + name);
    }

    // ---- topics ----

    /** Name to partitions and settings. Retention is off: many events bear old times. */
    private static Map<String, NewTopic> topics() {
        Map<String, NewTopic> all = new LinkedHashMap<>();
        topic(all, "odd.shapes", 3);
        topic(all, "odd.times", 2);
        topic(all, "odd.append-times", 2, "message.timestamp.type", "LogAppendTime");
        topic(all, "odd.raw", 1);
        topic(all, NUL_NAMES, 1);
        for (String codec : CODECS) {
            topic(all, "odd.codec." + codec, 1);
        }
        topic(all, "odd.bulk", 4);
        topic(all, "odd.large", 1, "max.message.bytes", "10485760");
        topic(all, "odd.transactions", 2);
        topic(all, "odd.compacted", 1, "cleanup.policy", "compact", "segment.ms", "100", "min.cleanable.dirty.ratio", "0.01",
            "max.compaction.lag.ms", "100", "delete.retention.ms", "600000");
        topic(all, "odd.trimmed", 2);
        topic(all, "odd.again", 2);
        topic(all, "odd.growing", 2);
        topic(all, "odd.empty", 1);
        topic(all, LONGEST_NAME, 1);
        return all;
    }

    private static void topic(Map<String, NewTopic> all, String name, int partitions, String... settings) {
        Map<String, String> config = new LinkedHashMap<>(Map.of("retention.ms", "-1", "message.timestamp.before.max.ms", FOREVER,
            "message.timestamp.after.max.ms", FOREVER));
        for (int i = 0; i < settings.length; i += 2) {
            config.put(settings[i], settings[i + 1]);
        }
        all.put(name, new NewTopic(name, partitions, (short) 1).configs(config));
    }

    private void create(Map<String, NewTopic> topics) throws Exception {
        admin.createTopics(topics.values()).all().get();
        Map<String, Integer> partitions = new HashMap<>();
        topics.forEach((name, topic) -> partitions.put(name, topic.numPartitions()));
        awaitLeaders(partitions);
    }

    /**
     * Until every leader answers. A batch that a leader refuses because it is not up yet comes again in another order, and an
     * idempotent producer then never gets it through.
     */
    private void awaitLeaders(Map<String, Integer> partitions) throws Exception {
        Map<TopicPartition, OffsetSpec> asked = new HashMap<>();
        partitions.forEach((topic, count) -> {
            for (int partition = 0; partition < count; partition++) {
                asked.put(new TopicPartition(topic, partition), OffsetSpec.latest());
            }
        });
        for (long deadline = System.nanoTime() + Duration.ofSeconds(60).toNanos();;) {
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

    // ---- producing ----

    private KafkaProducer<byte[], byte[]> producer(Map<String, String> settings) {
        Properties config = new Properties();
        config.put("bootstrap.servers", bootstrap);
        config.put("linger.ms", "5");
        config.put("max.request.size", "10485760");
        config.put("buffer.memory", "67108864");
        config.putAll(settings);
        return new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer());
    }

    private static byte[] text(String text) {
        return text == null ? null : text.getBytes(UTF_8);
    }

    /** Headers are name, value, name, value; a value is a String, bytes or null. */
    private static List<Header> headers(Object... parts) {
        List<Header> all = new ArrayList<>();
        for (int i = 0; i < parts.length; i += 2) {
            Object value = parts[i + 1];
            all.add(new RecordHeader((String) parts[i], value instanceof String string ? text(string) : (byte[]) value));
        }
        return all;
    }

    private void send(KafkaProducer<byte[], byte[]> by, String topic, int partition, long time, byte[] key, byte[] value,
            List<Header> headers) {
        by.send(new ProducerRecord<>(topic, partition, time, key, value, headers), (metadata, failure) -> {
            if (failure != null) {
                System.err.println(topic + ": " + failure);
                Runtime.getRuntime().halt(1);
            }
        });
    }

    /** Plain events: topic, partitions, events in each. What is in them depends on the topic and the number. */
    private void numbered(String topic, int partitions, int each) {
        for (int i = 0; i < each; i++) {
            for (int partition = 0; partition < partitions; partition++) {
                send(producer, topic, partition, BASE_TIME + i, text("key-" + i % 7), text(topic + " " + partition + " " + i),
                    headers("n", Integer.toString(i)));
            }
        }
    }

    private void shapes() {
        Shapes all = new Shapes(producer, "odd.shapes", 3);
        for (String key : new String[] {null, "", "k"}) {
            for (String value : new String[] {null, "", "v"}) {
                all.next(text(key), text(value), headers());
                all.next(text(key), text(value), headers("of", value == null ? null : "x"));
            }
        }
        all.headers();
        all.bytes();
        all.bodies();
        send(producer, NUL_NAMES, 0, BASE_TIME, text("k"), text("v"), headers("a\u0000b", "1", "\u0000", "2", "end\u0000", ""));
        send(producer, NUL_NAMES, 0, BASE_TIME, text("k"), text("v"), headers("null\u0000value", null));
        send(producer, LONGEST_NAME, 0, BASE_TIME, text("k"), text("in the longest name"), headers());
    }

    /** Sends to the partitions in turn, one millisecond after the other. */
    private final class Shapes {
        private final KafkaProducer<byte[], byte[]> by;
        private final String topic;
        private final int partitions;
        private int count;

        Shapes(KafkaProducer<byte[], byte[]> by, String topic, int partitions) {
            this.by = by;
            this.topic = topic;
            this.partitions = partitions;
        }

        void next(byte[] key, byte[] value, List<Header> headers) {
            send(by, topic, count % partitions, BASE_TIME + count, key, value, headers);
            count++;
        }

        private void with(Object... parts) {
            next(text("h" + count), text("{\"n\":" + count + "}"), OddEvents.headers(parts));
        }

        void headers() {
            with("one", "1");
            with("same", "1", "same", "1");
            with("same", "1", "other", "x", "same", "2", "same", null);
            with("null", null);
            with("empty", "");
            with("", "empty name", "", null, "", "");
            with("b", "1", "a", "2", "c", "3", "a", "4", "B", "5");
            with("größe", "weiß", "ключ", "значение", "键", "值", "😀", "\u0000", "e\u0301", "\u00e9", "\u00e9", "e\u0301");
            with("quote\"back\\slash", "\"\\", "line\nfeed\r\t\u0001\u001f\u007f", "\n", "\u2028\ufeff", "\ufffd");
            with("n".repeat(1000), "long name", "big", new byte[100_000]);
            with("bytes", everyByte(), "not text", new byte[] {(byte) 0xff, (byte) 0xfe, 0, (byte) 0xc0});
            Object[] many = new Object[600];
            for (int i = 0; i < 300; i++) {
                many[2 * i] = "header-" + i % 250;
                many[2 * i + 1] = i % 11 == 0 ? null : "value " + i;
            }
            with(many);
            next(text("tombstone"), null, OddEvents.headers("why", "deleted", "why", null));
            with("ce_specversion", "1.0", "ce_type", "uk.example.customer.account.v1.AccountActivated", "ce_source",
                "/teams/customer/account", "ce_id", "4a4b", "ce_time", "2023-11-14T22:13:20Z", "content-type", "application/json");
            with("hv-replayed", "looks like ours", "hv-offset", "7");
        }

        void bytes() {
            for (int i = 0; i < 256; i++) {
                next(new byte[] {(byte) i}, new byte[] {(byte) i, (byte) i}, OddEvents.headers());
            }
            next(everyByte(), everyByte(), OddEvents.headers("every", everyByte()));
            next(new byte[100_000], new byte[1], OddEvents.headers());
        }

        /** Bodies that a JSON sink may get wrong. */
        void bodies() {
            for (String body : List.of("null", "true", "\"text\"", "0", "-0", "1e400", "123456789012345678901234567890", "0.10",
                    " {\"a\": 1}\n", "{\"a\":1,\"a\":2}", "{\"a\":1} ", "{\"a\":1}{\"b\":2}", "{\"a\":NaN}", "[1,2,", "[[[[[[[[]]]]]]]]",
                    "\"\\ud800\"", "\"\\u0000\"", "{\"\":{\"\":[]}}", "[1,2]", "\ufeff{}", "<a/>", "a\nb", "{\"é\":\"é\"}")) {
                next(text("body"), text(body), OddEvents.headers("content-type", "application/json"));
            }
            next(text("body"), new byte[] {'"', (byte) 0xc3, '"'}, OddEvents.headers());
            next(text("body"), text("[".repeat(100_000) + "]".repeat(100_000)), OddEvents.headers());
        }
    }

    private static byte[] everyByte() {
        byte[] all = new byte[256];
        for (int i = 0; i < all.length; i++) {
            all[i] = (byte) i;
        }
        return all;
    }

    private void times() {
        long[] odd = {BASE_TIME, 0, 1, 999, 86_400_000, BASE_TIME + 1, BASE_TIME - 1, BASE_TIME + 1, 2_147_483_647_999L,
            2_147_483_648_000L, 4_102_444_800_000L, 253_402_300_799_999L, 253_402_300_800_000L, Long.MAX_VALUE - 1, Long.MAX_VALUE, 0,
            BASE_TIME + 2};
        for (long time : odd) {
            for (String topic : List.of("odd.times", "odd.append-times")) {
                send(producer, topic, 0, time, text("t"), text(Long.toString(time)), headers());
            }
            producer.flush();           // one batch each: a far time must not decide over its neighbours
        }
        SplittableRandom random = new SplittableRandom(1);
        for (int i = 0; i < 2000; i++) {
            long time = BASE_TIME + i * 10L + (random.nextInt(20) == 0 ? random.nextLong(-100_000, 100_000) : 0);
            send(producer, "odd.times", 1, time, text("t" + i % 5), text(Long.toString(time)), headers());
            send(producer, "odd.append-times", 1, time, text("t" + i % 5), text(Long.toString(time)), headers());
        }
    }

    private void raw() throws Exception {
        producer.flush();
        new RawBatch()
            .add(-1000, text("negative"), text("a second before 1970"))
            .add(5, text("positive"), text("in one batch with it"))
            .add(-1, text("minus one"), text("the value that also means: none"))
            .send(bootstrap, "odd.raw", 0);
        new RawBatch()
            .add(BASE_TIME, text("big step"), text("from 2023"))
            .add(-62_135_596_800_000L, text("year 1"), text("to the year 1"))
            .send(bootstrap, "odd.raw", 0);
        new RawBatch().add(Long.MIN_VALUE, text("smallest"), null).send(bootstrap, "odd.raw", 0);
        new RawBatch()
            .add(BASE_TIME, text("not text"), text("header names that are not UTF-8"), new byte[] {(byte) 0xff}, text("a"),
                new byte[] {(byte) 0xc3, 0x28}, null, new byte[] {(byte) 0xed, (byte) 0xa0, (byte) 0x80}, text("half a surrogate"),
                text("fine"), text("b"))
            .send(bootstrap, "odd.raw", 0);
        new RawBatch().add(BASE_TIME, null, null).send(bootstrap, "odd.raw", 0);
    }

    private void codecs() {
        for (String codec : CODECS) {
            try (KafkaProducer<byte[], byte[]> by = producer(Map.of("compression.type", codec, "linger.ms", "20"))) {
                Shapes all = new Shapes(by, "odd.codec." + codec, 1);
                SplittableRandom random = new SplittableRandom(2);
                for (int i = 0; i < 500; i++) {
                    all.next(text("c" + i), body(random, i, 50 + random.nextInt(2000)), headers("codec", codec, "codec", null));
                }
                all.next(null, null, headers());
            }
        }
    }

    /** Text that compresses like JSON does. */
    private static byte[] body(SplittableRandom random, int number, int length) {
        StringBuilder text = new StringBuilder("{\"number\":" + number + ",\"items\":[");
        while (text.length() < length) {
            text.append("{\"id\":\"").append(Long.toHexString(random.nextLong())).append("\",\"state\":\"active\"},");
        }
        return text(text.append("{}]}").toString());
    }

    private void bulk(int from, int to) {
        SplittableRandom random = new SplittableRandom(3 + from);
        for (int i = from; i < to; i++) {
            List<Header> headers = headers("trace", Long.toHexString(random.nextLong()), "tag", i % 3 == 0 ? null : "t" + i % 3, "tag", "");
            byte[] value = i % 100 == 99 ? null : body(random, i, 100 + random.nextInt(1400));
            send(producer, "odd.bulk", random.nextInt(4), BASE_TIME + i + (i % 20 == 7 ? -5000 : 0), text("key-" + i % 1000), value, headers);
        }
    }

    private void large() {
        byte[] noise = new byte[LARGE];
        new SplittableRandom(4).nextBytes(noise);
        send(producer, "odd.large", 0, BASE_TIME, text("noise"), noise, headers());
        send(producer, "odd.large", 0, BASE_TIME + 1, text("small"), text("between"), headers());
        send(producer, "odd.large", 0, BASE_TIME + 2, text("zeros"), new byte[LARGE], headers("big", new byte[1 << 20]));
        send(producer, "odd.large", 0, BASE_TIME + 3, new byte[LARGE], null, headers());
        send(producer, "odd.large", 0, BASE_TIME + 4, noise, new byte[0], headers());
    }

    // ---- transactions ----

    private KafkaProducer<byte[], byte[]> transactional(String id) {
        KafkaProducer<byte[], byte[]> by = producer(Map.of("transactional.id", id, "transaction.timeout.ms", "900000"));
        by.initTransactions();
        return by;
    }

    private void inTransaction(KafkaProducer<byte[], byte[]> by, String what, int count) {
        by.beginTransaction();
        for (int i = 0; i < count; i++) {
            send(by, "odd.transactions", i % 2, BASE_TIME + i, text(what), text(what + " " + i), headers());
        }
        by.flush();                     // an unsent batch would vanish at an abort
    }

    private void transactions() {
        try (KafkaProducer<byte[], byte[]> first = transactional("odd-1"); KafkaProducer<byte[], byte[]> second = transactional("odd-2")) {
            inTransaction(first, "committed", 6);
            first.commitTransaction();
            inTransaction(first, "aborted", 10);
            first.abortTransaction();
            inTransaction(first, "interleaved and committed", 4);
            inTransaction(second, "interleaved and aborted", 4);
            send(producer, "odd.transactions", 0, BASE_TIME, text("plain"), text("between two open transactions"), headers());
            producer.flush();
            second.abortTransaction();
            first.commitTransaction();
            inTransaction(second, "aborted at the end", 8);
            second.abortTransaction();
        }
    }

    private void openTransaction() {
        inTransaction(transactional(OPEN_TRANSACTION), "left open", 6);
        send(producer, "odd.transactions", 0, BASE_TIME, text("plain"), text("behind an open transaction"), headers());
        producer.flush();
        System.err.println("odd events: open-transaction");
        Runtime.getRuntime().halt(0);
    }

    private void endTransaction() throws Exception {
        admin.fenceProducers(List.of(OPEN_TRANSACTION)).all().get();
    }

    private void holdTransaction() throws Exception {
        try (KafkaProducer<byte[], byte[]> by = transactional("odd-held")) {
            inTransaction(by, "held", 6);
            System.out.println("open");
            System.out.flush();
            String word = new BufferedReader(new InputStreamReader(System.in, UTF_8)).readLine();
            if ("commit".equals(word)) {
                by.commitTransaction();
            } else {
                by.abortTransaction();
            }
        }
    }

    // ---- what happens to topics ----

    /**
     * 8 keys in 20 versions, two of them deleted at the end, with some that stay between; then records that roll the segment until the
     * cleaner has been there. Segments roll by the times of records, hence steps of a second.
     */
    private void compact() throws Exception {
        for (int version = 0; version < 20; version++) {
            for (int key = 0; key < 8; key++) {
                send(producer, "odd.compacted", 0, BASE_TIME + version, text("key-" + key), text("version " + version), headers());
            }
            if (version % 5 == 2) {
                send(producer, "odd.compacted", 0, BASE_TIME + version, text("stays-" + version), text("stays"), headers());
            }
        }
        send(producer, "odd.compacted", 0, BASE_TIME + 20, text("key-0"), null, headers());
        send(producer, "odd.compacted", 0, BASE_TIME + 20, text("key-1"), null, headers());
        long deadline = System.nanoTime() + Duration.ofSeconds(60).toNanos();
        for (int left = Integer.MAX_VALUE, roll = 0; left > 40; left = count("odd.compacted")) {
            if (System.nanoTime() > deadline) {
                throw new IllegalStateException("odd.compacted still holds " + left + " records");
            }
            Thread.sleep(300);
            send(producer, "odd.compacted", 0, BASE_TIME + 1000L * ++roll, text("roller-" + roll), text("roll"), headers());
            producer.flush();
        }
        // A last one behind the holes. Rollers and this one have keys of their own: from here on the cleaner finds nothing to do.
        send(producer, "odd.compacted", 0, BASE_TIME + 100_000, text("key-last"), text("last"), headers());
    }

    private int count(String topic) {
        Properties config = new Properties();
        config.put("bootstrap.servers", bootstrap);
        try (KafkaConsumer<byte[], byte[]> consumer =
                new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            TopicPartition partition = new TopicPartition(topic, 0);
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            long end = consumer.endOffsets(List.of(partition)).get(partition);
            int count = 0;
            while (consumer.position(partition) < end) {
                count += consumer.poll(Duration.ofMillis(100)).count();
            }
            return count;
        }
    }

    /** Partition 0 loses its first 60 of 100, partition 1 all. */
    private void deleteRecords() throws Exception {
        producer.flush();
        admin.deleteRecords(Map.of(new TopicPartition("odd.trimmed", 0), RecordsToDelete.beforeOffset(60),
            new TopicPartition("odd.trimmed", 1), RecordsToDelete.beforeOffset(-1))).all().get();
    }

    private void recreate() throws Exception {
        admin.deleteTopics(List.of("odd.again")).all().get();
        NewTopic topic = topics().get("odd.again");
        while (true) {
            try {
                admin.createTopics(List.of(topic)).all().get();
                break;
            } catch (ExecutionException failure) {
                if (!(failure.getCause() instanceof TopicExistsException)) {
                    throw failure;
                }
                Thread.sleep(20);
            }
        }
        awaitLeaders(Map.of("odd.again", topic.numPartitions()));
        // A fresh producer: the old one may still know the old topic.
        try (KafkaProducer<byte[], byte[]> by = producer(Map.of())) {
            for (int i = 0; i < 30; i++) {
                send(by, "odd.again", i % 2, BASE_TIME + 100_000 + i, text("second-" + i), text("second life " + i), headers());
            }
        }
    }

    private void addPartitions() throws Exception {
        admin.createPartitions(Map.of("odd.growing", NewPartitions.increaseTo(5))).all().get();
        awaitLeaders(Map.of("odd.growing", 5));
        try (KafkaProducer<byte[], byte[]> by = producer(Map.of())) {
            for (int i = 0; i < 100; i++) {
                send(by, "odd.growing", i % 5, BASE_TIME + 1000 + i, text("grown"), text("grown " + i), headers());
            }
        }
    }

    private void more() {
        bulk(20_000, 21_000);
        numbered("odd.trimmed", 2, 10);
        numbered("odd.shapes", 3, 10);
        numbered("odd.empty", 1, 3);
    }
}
