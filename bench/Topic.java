import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.common.TopicPartition;

/**
 * Makes an empty topic for a benchmark to write to, and waits until all of its leaders answer; one that is there is deleted first.
 *
 * usage: Topic BOOTSTRAP NAME PARTITIONS       0: delete only
 */
public final class Topic {
    public static void main(String[] args) throws Exception {
        int partitions = Integer.parseInt(args[2]);
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", args[0]))) {
            if (admin.listTopics().names().get().contains(args[1])) {
                admin.deleteTopics(Set.of(args[1])).all().get();
            }
            if (partitions > 0) {
                create(admin, new NewTopic(args[1], partitions, (short) 1).configs(Map.of("retention.ms", "-1")));
            }
        }
    }

    private static void create(Admin admin, NewTopic topic) throws Exception {
        Map<TopicPartition, OffsetSpec> leaders = new HashMap<>();
        for (int partition = 0; partition < topic.numPartitions(); partition++) {
            leaders.put(new TopicPartition(topic.name(), partition), OffsetSpec.latest());
        }
        boolean made = false;
        for (long deadline = System.nanoTime() + 60_000_000_000L;;) {
            try {
                if (!made) {
                    admin.createTopics(List.of(topic)).all().get();     // refused for a moment while the old one is still being deleted
                }
                made = true;
                admin.listOffsets(leaders).all().get();
                return;
            } catch (ExecutionException notYet) {
                if (System.nanoTime() > deadline) {
                    throw notYet;
                }
                Thread.sleep(50);
            }
        }
    }

    private Topic() {
    }
}
