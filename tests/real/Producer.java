import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Properties;
import java.util.SplittableRandom;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * An idempotent producer that runs until SIGTERM and logs what the broker acknowledged, one JSON line an event:
 *
 * {"topic":"live","partition":0,"offset":7,"timestamp":1700000000000,"key":BASE64|null,"headers":[[NAME,BASE64|null]],"valueSha256":HEX|null}
 *
 * usage: Producer BOOTSTRAP TOPIC PARTITIONS EVENTS_PER_SECOND LOG [SEED]
 *
 * An event is logged if and only if it is in the topic: it is sent again for as long as it takes, and SIGTERM waits for the last
 * answer. "first" is printed when the first event is acknowledged.
 */
public final class Producer {
    private static final String FOREVER = Integer.toString(Integer.MAX_VALUE);

    private final KafkaProducer<byte[], byte[]> producer;
    private final String topic;
    private final BufferedWriter log;
    private final SplittableRandom random;
    private volatile boolean stop;
    private long acknowledged;

    private Producer(String[] args) throws IOException {
        Properties config = new Properties();
        config.put("bootstrap.servers", args[0]);
        config.put("enable.idempotence", "true");
        config.put("acks", "all");
        config.put("retries", FOREVER);
        config.put("delivery.timeout.ms", FOREVER);
        config.put("max.block.ms", "600000");
        config.put("linger.ms", "2");
        config.put("compression.type", "zstd");
        producer = new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer());
        topic = args[1];
        log = Files.newBufferedWriter(Path.of(args[4]), UTF_8);
        random = new SplittableRandom(args.length > 5 ? Long.parseLong(args[5]) : 1);
    }

    public static void main(String[] args) throws Exception {
        if (args.length < 5) {
            System.err.println("usage: Producer BOOTSTRAP TOPIC PARTITIONS EVENTS_PER_SECOND LOG [SEED]");
            System.exit(2);
        }
        Producer live = new Producer(args);
        Thread main = Thread.currentThread();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            live.stop = true;
            try {
                main.join();
            } catch (InterruptedException ignored) {
                Thread.currentThread().interrupt();
            }
        }));
        live.run(Integer.parseInt(args[2]), Double.parseDouble(args[3]));
    }

    private void run(int partitions, double rate) throws IOException {
        long start = System.nanoTime();
        for (long number = 0; !stop; number++) {
            long due = start + (long) (number / rate * 1e9);
            for (long wait = due - System.nanoTime(); wait > 0 && !stop; wait = due - System.nanoTime()) {
                LockSupport.parkNanos(Math.min(wait, 50_000_000));
            }
            send(number, random.nextInt(partitions));
        }
        producer.close();
        log.close();
        System.err.println("producer: " + acknowledged + " events acknowledged");
    }

    private void send(long number, int partition) {
        byte[] key = number % 13 == 0 ? null : ("key-" + number % 97).getBytes(UTF_8);
        byte[] value = number % 100 == 99 ? null : new byte[random.nextInt(number % 50 == 0 ? 20_000 : 600)];
        if (value != null) {
            random.nextBytes(value);
        }
        List<Header> headers = new ArrayList<>();
        headers.add(new RecordHeader("number", Long.toString(number).getBytes(UTF_8)));
        headers.add(new RecordHeader("tag", null));
        headers.add(new RecordHeader("tag", "x".getBytes(UTF_8)));
        long time = System.currentTimeMillis() - (random.nextInt(20) == 0 ? random.nextInt(60_000) : 0);
        ProducerRecord<byte[], byte[]> record = new ProducerRecord<>(topic, partition, time, key, value, headers);
        producer.send(record, (metadata, failure) -> {
            if (failure != null) {
                System.err.println("producer: " + failure);
                Runtime.getRuntime().halt(1);
            }
            acknowledge(record, metadata);
        });
    }

    /** On the sender thread of the client, which is one. */
    private void acknowledge(ProducerRecord<byte[], byte[]> record, RecordMetadata metadata) {
        StringBuilder line = new StringBuilder(300);
        line.append("{\"topic\":\"").append(topic).append("\",\"partition\":").append(metadata.partition());
        line.append(",\"offset\":").append(metadata.offset()).append(",\"timestamp\":").append(record.timestamp());
        line.append(",\"key\":").append(base64(record.key())).append(",\"headers\":[");
        String separator = "";
        for (Header header : record.headers()) {
            line.append(separator).append("[\"").append(header.key()).append("\",").append(base64(header.value())).append(']');
            separator = ",";
        }
        line.append("],\"valueSha256\":").append(sha256(record.value())).append("}\n");
        try {
            log.write(line.toString());
            if (acknowledged++ == 0) {
                System.out.println("first");
                System.out.flush();
            }
        } catch (IOException failure) {
            System.err.println("producer: log: " + failure);
            Runtime.getRuntime().halt(1);
        }
    }

    private static String base64(byte[] data) {
        return data == null ? "null" : '"' + Base64.getEncoder().encodeToString(data) + '"';
    }

    private static String sha256(byte[] data) {
        if (data == null) {
            return "null";
        }
        try {
            return '"' + HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(data)) + '"';
        } catch (java.security.NoSuchAlgorithmException impossible) {
            throw new IllegalStateException(impossible);
        }
    }
}
