import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeSet;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.TransactionDescription;
import org.apache.kafka.clients.admin.TransactionListing;
import org.apache.kafka.clients.admin.TransactionState;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidProducerEpochException;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * The Java client's transactional producer.
 *
 * usage: Transactions BOOTSTRAP
 *
 * Each line is "ok - what" or "not ok - what"; test_java_transactions.py makes TAP of it. After the line "kill" it waits for a
 * line, which comes when the server has been killed and is up again.
 */
public class Transactions {
    static String bootstrap;
    static Admin admin;

    static void check(boolean good, String what) {
        System.out.println((good ? "ok - " : "not ok - ") + what);
    }

    static void equal(Object got, Object expected, String what) {
        check(expected.equals(got), what + (expected.equals(got) ? "" : ": got " + got + ", expected " + expected));
    }

    static KafkaProducer<String, String> producer(String id) {
        Properties p = new Properties();
        p.put("bootstrap.servers", bootstrap);
        p.put("transactional.id", id);
        p.put("key.serializer", StringSerializer.class.getName());
        p.put("value.serializer", StringSerializer.class.getName());
        p.put("max.block.ms", "60000");
        return new KafkaProducer<>(p);
    }

    static KafkaConsumer<String, String> consumer(String group, String isolation) {
        Properties p = new Properties();
        p.put("bootstrap.servers", bootstrap);
        p.put("group.id", group);
        p.put("isolation.level", isolation);
        p.put("enable.auto.commit", "false");
        p.put("auto.offset.reset", "earliest");
        p.put("key.deserializer", StringDeserializer.class.getName());
        p.put("value.deserializer", StringDeserializer.class.getName());
        return new KafkaConsumer<>(p);
    }

    /** All values of a topic up to its end, in the order of each partition. */
    static List<String> read(String topic, String isolation) {
        List<String> values = new ArrayList<>();
        try (KafkaConsumer<String, String> c = consumer("none", isolation)) {
            List<TopicPartition> parts = new ArrayList<>();
            c.partitionsFor(topic).forEach(p -> parts.add(new TopicPartition(topic, p.partition())));
            c.assign(parts);
            c.seekToBeginning(parts);
            Map<TopicPartition, Long> ends = c.endOffsets(parts);
            while (parts.stream().anyMatch(p -> c.position(p) < ends.get(p))) {
                for (ConsumerRecord<String, String> r : c.poll(Duration.ofMillis(200))) {
                    values.add(r.value());
                }
            }
        }
        Collections.sort(values);
        return values;
    }

    static void topic(String name, int partitions) throws Exception {
        admin.createTopics(List.of(new NewTopic(name, partitions, (short) 1))).all().get();
    }

    static void commitAndAbort() throws Exception {
        topic("java", 3);
        try (KafkaProducer<String, String> p = producer("java")) {
            p.initTransactions();
            for (int n = 0; n < 4; n++) {
                p.beginTransaction();
                for (int i = 0; i < 10; i++) {
                    p.send(new ProducerRecord<>("java", i % 3, null, (n % 2 == 0 ? "kept " : "gone ") + n + " " + i));
                }
                p.flush();
                if (n == 0) {
                    equal(read("java", "read_uncommitted").size(), 0, "nobody sees an open transaction");
                    TransactionDescription d = admin.describeTransactions(List.of("java")).description("java").get();
                    equal(d.state(), TransactionState.ONGOING, "it is described");
                    check(admin.listTransactions().all().get().stream().map(TransactionListing::transactionalId).toList().contains("java"), "and listed");
                }
                if (n % 2 == 0) {
                    p.commitTransaction();
                } else {
                    p.abortTransaction();
                }
            }
            p.beginTransaction();
            p.abortTransaction();
            p.beginTransaction();
            p.commitTransaction();
        }
        for (String isolation : List.of("read_uncommitted", "read_committed")) {
            List<String> values = read("java", isolation);
            check(values.size() == 20 && values.stream().allMatch(v -> v.startsWith("kept")), isolation + ": what was committed, and nothing else");
        }
    }

    static void offsets() throws Exception {
        topic("from", 2);
        topic("to", 2);
        try (KafkaProducer<String, String> p = producer("fill")) {
            p.initTransactions();
            p.beginTransaction();
            for (int i = 0; i < 100; i++) {
                p.send(new ProducerRecord<>("from", i % 2, null, "r" + i));
            }
            p.commitTransaction();
        }
        try (KafkaConsumer<String, String> c = consumer("java-app", "read_committed"); KafkaProducer<String, String> p = producer("app")) {
            p.initTransactions();
            c.subscribe(List.of("from"));
            int done = 0;
            long deadline = System.currentTimeMillis() + 60000;
            while (done < 100 && System.currentTimeMillis() < deadline) {
                Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
                p.beginTransaction();
                for (ConsumerRecord<String, String> r : c.poll(Duration.ofMillis(500))) {
                    p.send(new ProducerRecord<>("to", r.partition(), null, r.value()));
                    offsets.put(new TopicPartition("from", r.partition()), new OffsetAndMetadata(r.offset() + 1));
                    done++;
                }
                p.sendOffsetsToTransaction(offsets, c.groupMetadata());
                p.commitTransaction();
            }
            equal(done, 100, "consumed, transformed, produced");
            Map<TopicPartition, OffsetAndMetadata> committed = c.committed(Set.of(new TopicPartition("from", 0), new TopicPartition("from", 1)));
            equal(committed.values().stream().mapToLong(OffsetAndMetadata::offset).sum(), 100L, "offsets are those of the transactions");
        }
        equal(new TreeSet<>(read("to", "read_committed")).size(), 100, "each record once");
    }

    static void fenced() throws Exception {
        topic("fenced", 1);
        try (KafkaProducer<String, String> old = producer("fenced"); KafkaProducer<String, String> next = producer("fenced")) {
            old.initTransactions();
            old.beginTransaction();
            old.send(new ProducerRecord<>("fenced", "old"));
            old.flush();
            next.initTransactions();
            try {
                old.commitTransaction();
                check(false, "the old producer is fenced");
            } catch (ProducerFencedException | InvalidProducerEpochException e) {
                check(true, "the old producer is fenced");
            } catch (KafkaException e) {
                check(false, "the old producer is fenced: " + e);
            }
            next.beginTransaction();
            next.send(new ProducerRecord<>("fenced", "new"));
            next.commitTransaction();
        }
        equal(read("fenced", "read_uncommitted"), List.of("new"), "what it sent is not there");
    }

    /** Kills the server amid a transaction; the producer aborts it and goes on. */
    static void killed() throws Exception {
        topic("killed", 2);
        try (KafkaProducer<String, String> p = producer("killed")) {
            p.initTransactions();
            p.beginTransaction();
            p.send(new ProducerRecord<>("killed", 0, null, "before"));
            p.commitTransaction();
            p.beginTransaction();
            p.send(new ProducerRecord<>("killed", 0, null, "torn"));
            p.flush();
            System.out.println("kill");
            System.in.read();
            try {
                p.send(new ProducerRecord<>("killed", 1, null, "torn, too"));
                p.commitTransaction();
                check(false, "the transaction that the server lost cannot be committed");
            } catch (ProducerFencedException e) {
                check(false, "the producer is fenced: " + e);
            } catch (KafkaException e) {
                check(true, "the transaction that the server lost cannot be committed");
                p.abortTransaction();
            }
            p.beginTransaction();
            p.send(new ProducerRecord<>("killed", 1, null, "after"));
            p.commitTransaction();
        }
        equal(read("killed", "read_uncommitted"), List.of("after", "before"), "whole or not at all");
    }

    public static void main(String[] args) throws Exception {
        bootstrap = args[0];
        try (Admin a = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            admin = a;
            commitAndAbort();
            offsets();
            fenced();
            killed();
        }
    }
}
