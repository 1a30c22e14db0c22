import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * One group that is upgraded to the consumer protocol, taken back, and upgraded again, member by member, while records come
 * in: all are to be read, and hardly one twice. Then static members, regular expressions, and what is refused.
 *
 * usage: MixedGroups BOOTSTRAP
 *
 * Each line is "ok - what" or "not ok - what"; test_mixed_groups.py makes TAP of it.
 */
public class MixedGroups {
    static final String COOPERATIVE = "org.apache.kafka.clients.consumer.CooperativeStickyAssignor";
    static final String RANGE = "org.apache.kafka.clients.consumer.RangeAssignor";
    static final int PATIENCE_MS = 40000;

    static String bootstrap;
    static Admin admin;
    static final String topic = "mixed";
    static final Map<String, AtomicInteger> seen = new ConcurrentHashMap<>();

    /** A consumer in a thread of its own. */
    static class Member extends Thread {
        final KafkaConsumer<String, String> consumer;
        final Object subscription;
        volatile boolean stopping = false;
        volatile Set<TopicPartition> owned = Set.of();
        volatile Exception failure = null;

        Member(String protocol, String group, Object subscription, String... settings) {
            Properties p = new Properties();
            p.put("bootstrap.servers", bootstrap);
            p.put("group.id", group);
            p.put("group.protocol", protocol);
            p.put("auto.offset.reset", "earliest");
            p.put("auto.commit.interval.ms", "200");
            p.put("key.deserializer", StringDeserializer.class.getName());
            p.put("value.deserializer", StringDeserializer.class.getName());
            if (protocol.equals("classic"))
                p.put("heartbeat.interval.ms", "300");
            for (int i = 0; i < settings.length; i += 2)
                p.put(settings[i], settings[i + 1]);
            this.subscription = subscription;
            consumer = new KafkaConsumer<>(p);
            start();
        }

        @Override
        public void run() {
            try {
                if (subscription instanceof SubscriptionPattern)
                    consumer.subscribe((SubscriptionPattern) subscription);
                else
                    consumer.subscribe(List.of((String) subscription));
                while (!stopping) {
                    for (ConsumerRecord<String, String> r : consumer.poll(Duration.ofMillis(100))) {
                        if (r.topic().equals(topic))
                            seen.computeIfAbsent(r.partition() + "-" + r.offset(), k -> new AtomicInteger()).incrementAndGet();
                    }
                    owned = Set.copyOf(consumer.assignment());
                }
            } catch (Exception e) {
                failure = e;
            } finally {
                consumer.close();
            }
        }

        void end() throws Exception {
            stopping = true;
            join();
            owned = Set.of();
        }

        boolean has(int n) {
            return owned.size() == n;
        }
    }

    /** Records, as fast as one in two milliseconds, until told to stop. */
    static class Source extends Thread {
        final AtomicLong sent = new AtomicLong();
        volatile boolean stopping = false;

        @Override
        public void run() {
            Properties p = new Properties();
            p.put("bootstrap.servers", bootstrap);
            p.put("key.serializer", StringSerializer.class.getName());
            p.put("value.serializer", StringSerializer.class.getName());
            try (KafkaProducer<String, String> producer = new KafkaProducer<>(p)) {
                while (!stopping) {
                    producer.send(new ProducerRecord<>(topic, "key" + sent.get() % 97, "value"));
                    sent.incrementAndGet();
                    Thread.sleep(2);
                }
            } catch (InterruptedException e) {
                stopping = true;
            }
        }
    }

    static void ok(boolean good, String what) {
        System.out.println((good ? "ok - " : "not ok - ") + what);
    }

    static void await(String what, Callable<Boolean> condition) throws Exception {
        long start = System.currentTimeMillis();

        while (!condition.call()) {
            if (System.currentTimeMillis() - start > PATIENCE_MS) {
                ok(false, what);
                System.exit(1);
            }
            Thread.sleep(20);
        }
        ok(true, what);
    }

    static ConsumerGroupDescription describe(String group) throws Exception {
        return admin.describeConsumerGroups(List.of(group)).all().get().get(group);
    }

    static boolean is(String group, String type, String state, int members) throws Exception {
        ConsumerGroupDescription d = describe(group);

        return d.type().toString().equals(type) && d.groupState().toString().equals(state) && d.members().size() == members;
    }

    static void migrate(String group) throws Exception {
        Member a = new Member("consumer", group, topic);
        await("one member has all", () -> a.has(6));
        Member b = new Member("consumer", group, topic);
        await("a second one gets half", () -> a.has(3) && b.has(3));
        Member c = new Member("classic", group, topic, "partition.assignment.strategy", COOPERATIVE);
        await("one with the classic protocol gets its share", () -> a.has(2) && b.has(2) && c.has(2));
        await("the group is one of the consumer protocol", () -> is(group, "Consumer", "Stable", 3));
        a.end();
        await("one leaves", () -> b.has(3) && c.has(3));
        b.end();
        await("the last one of its protocol leaves: the other has all", () -> c.has(6));
        await("and is in a classic group", () -> is(group, "Classic", "Stable", 1));
        Member d = new Member("consumer", group, topic);
        await("one of the consumer protocol joins the classic group", () -> c.has(3) && d.has(3));
        await("which is none any more", () -> is(group, "Consumer", "Stable", 2));
        Member e = new Member("classic", group, topic, "partition.assignment.strategy", COOPERATIVE + "," + RANGE);
        await("another classic one", () -> c.has(2) && d.has(2) && e.has(2));
        admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(9))).all().get();
        await("all get of the new partitions", () -> c.has(3) && d.has(3) && e.has(3));
        c.end();
        e.end();
        await("only the consumer protocol is left", () -> d.has(9));
        staticMembers(group, d);
        d.end();
    }

    static void staticMembers(String group, Member other) throws Exception {
        Member first = new Member("consumer", group, topic, "group.instance.id", "i1");
        await("a static member joins", () -> first.owned.size() + other.owned.size() == 9 && first.owned.size() >= 4);
        Set<TopicPartition> had = first.owned;
        first.end();
        Thread.sleep(1500);
        ok(!other.has(9) && describe(group).members().size() == 2, "it goes for a while, and nothing moves");
        Member again = new Member("consumer", group, topic, "group.instance.id", "i1");
        await("it is back, and has what it had", () -> again.owned.equals(had));
        Member second = new Member("consumer", group, topic, "group.instance.id", "i1");
        await("another one of its name is refused", () -> second.failure != null);
        ok(second.failure.getClass().getSimpleName().equals("UnreleasedInstanceIdException"), "as the name is in use");
        again.end();
    }

    static void patterns(String group) throws Exception {
        Member r = new Member("consumer", group, new SubscriptionPattern("mixed.*"));
        await("a regular expression", () -> r.has(9));
        admin.createTopics(List.of(new NewTopic("mixed-too", 2, (short) 1))).all().get();
        await("finds a topic that is made", () -> r.has(11));
        admin.deleteTopics(List.of("mixed-too")).all().get();
        await("and loses one that is dropped", () -> r.has(9));
        r.end();
        await("the group is empty", () -> describe(group).groupState().toString().equals("Empty"));
    }

    static void refusals(String group) throws Exception {
        Member badPattern = new Member("consumer", group, new SubscriptionPattern("("));
        await("a bad regular expression is refused", () -> badPattern.failure != null);
        ok(badPattern.failure.getMessage().contains("is not a valid regular expression"), "with what is wrong with it");
        Member badAssignor = new Member("consumer", group, topic, "group.remote.assignor", "best");
        await("an assignor that there is not is refused", () -> badAssignor.failure != null);
        ok(badAssignor.failure.getMessage().contains("Supported assignors: uniform, range"), "with those that there are");
        Member range = new Member("consumer", group, topic, "group.remote.assignor", "range");
        await("the range assignor", () -> range.has(9));
        ok(describe(group).partitionAssignor().equals("range"), "is what the group says it has");
        range.end();
    }

    public static void main(String[] args) throws Exception {
        Source source = new Source();

        bootstrap = args[0];
        Properties p = new Properties();
        p.put("bootstrap.servers", bootstrap);
        admin = Admin.create(p);
        admin.createTopics(List.of(new NewTopic(topic, 6, (short) 1))).all().get();
        source.start();
        migrate("migrating");
        source.stopping = true;
        source.join();
        Member last = new Member("consumer", "migrating", topic);
        await("every record was read", () -> seen.size() >= source.sent.get());
        last.end();
        List<String> twice = new ArrayList<>();
        seen.forEach((record, times) -> {
            if (times.get() > 1)
                twice.add(record);
        });
        /* A cooperative consumer goes on reading while it joins, and does not commit once more before it gives up partitions. */
        ok(twice.size() <= source.sent.get() / 50, "of " + source.sent.get() + " records hardly one was read twice: " + twice.size());
        patterns("by-pattern");
        refusals("refusing");
        System.exit(0);
    }
}
