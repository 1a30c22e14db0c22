/*
 * The scenario with the Java clients: of today, and of 3.7 and 2.8 (each compiled against its own jar; what was renamed since
 * is called by reflection).
 */

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.ListOffsetsResult;
import org.apache.kafka.clients.admin.MemberDescription;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.utils.AppInfoParser;

public class Matrix {
    static final String BOOTSTRAP = System.getenv("BOOTSTRAP");
    static final String PREFIX = env("PREFIX", "m");
    static final String PROTOCOL = env("PROTOCOL", "classic");
    static final String ASSIGNOR = env("ASSIGNOR", "range");
    static final String TOPIC = PREFIX + "-topic";
    static final String GROUP = PREFIX + "-group";
    static final String[] CODECS = {"none", "gzip", "snappy", "lz4", "zstd"};
    static final int EACH = 100;
    static Admin admin;

    interface Body {
        void run() throws Exception;
    }

    interface Condition {
        boolean holds() throws Exception;
    }

    static class Skip extends RuntimeException {
        Skip(String why) {
            super(why);
        }
    }

    /* Outcomes. */

    static String env(String name, String otherwise) {
        String value = System.getenv(name);
        return value == null ? otherwise : value;
    }

    static String quote(String text) {
        return "\"" + text.replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", " ") + "\"";
    }

    static void step(String name, Body body) {
        long started = System.nanoTime();
        try {
            body.run();
            System.out.println("{\"step\": " + quote(name) + ", \"ok\": true, \"ms\": " + millisSince(started) + "}");
        } catch (Skip skip) {
            System.out.println("{\"step\": " + quote(name) + ", \"skip\": " + quote(skip.getMessage()) + "}");
        } catch (Throwable problem) {
            if (System.getenv("VERBOSE") != null)
                problem.printStackTrace();
            String text = String.valueOf(problem);
            System.out.println("{\"step\": " + quote(name) + ", \"ok\": false, \"ms\": " + millisSince(started)
                + ", \"note\": " + quote(text.length() > 300 ? text.substring(0, 300) : text) + "}");
        }
        System.out.flush();
    }

    static long millisSince(long nanos) {
        return (System.nanoTime() - nanos) / 1000000;
    }

    static void check(boolean condition, String what) {
        if (!condition)
            throw new AssertionError(what);
    }

    static void waitFor(String what, Condition condition) throws Exception {
        long started = System.nanoTime();
        while (!condition.holds())
            check(millisSince(started) < 40000, "waited in vain for " + what);
    }

    /* Differences of the versions. */

    @SuppressWarnings("unchecked")
    static <T> T call(Object object, String... names) throws Exception {
        for (String name : names)
            for (Method method : object.getClass().getMethods())
                if (method.getName().equals(name) && method.getParameterCount() == 0)
                    try {
                        method.setAccessible(true);
                        return (T) method.invoke(object);
                    } catch (InvocationTargetException e) {
                        throw (Exception) e.getCause();
                    }
        throw new Skip("no such call");
    }

    static <T> T get(Future<T> future) throws Exception {
        return future.get(30, TimeUnit.SECONDS);
    }

    static TopicDescription describeTopic() throws Exception {
        Future<Map<String, TopicDescription>> all = call(admin.describeTopics(Collections.singleton(TOPIC)), "allTopicNames", "all");
        return get(all).get(TOPIC);
    }

    /* Consumers. */

    static class Member {
        final KafkaConsumer<String, String> consumer;
        final List<ConsumerRecord<String, String>> found = new ArrayList<>();

        Member(String group, String... settings) {
            Properties p = new Properties();
            p.put("bootstrap.servers", BOOTSTRAP);
            p.put("group.id", group);
            p.put("enable.auto.commit", "false");
            p.put("auto.offset.reset", "earliest");
            p.put("key.deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
            p.put("value.deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
            p.put("metadata.max.age.ms", "1000");
            if (PROTOCOL.equals("consumer")) {
                p.put("group.protocol", "consumer");
            } else {
                p.put("session.timeout.ms", "6000");
                p.put("heartbeat.interval.ms", "500");
                p.put("partition.assignment.strategy", ASSIGNOR.equals("cooperative-sticky")
                    ? "org.apache.kafka.clients.consumer.CooperativeStickyAssignor"
                    : "org.apache.kafka.clients.consumer.RangeAssignor");
            }
            for (int i = 0; i < settings.length; i += 2)
                p.put(settings[i], settings[i + 1]);
            consumer = new KafkaConsumer<>(p);
        }

        Member subscribe() {
            consumer.subscribe(Collections.singleton(TOPIC));
            return this;
        }

        int poll() {
            consumer.poll(Duration.ofMillis(50)).forEach(found::add);
            return consumer.assignment().size();
        }

        Set<Integer> owned() {
            return consumer.assignment().stream().map(TopicPartition::partition).collect(Collectors.toSet());
        }

        Set<String> values() {
            return found.stream().map(ConsumerRecord::value).collect(Collectors.toSet());
        }

        void close() {
            consumer.close();
        }
    }

    static Set<String> produced() {
        Set<String> all = new HashSet<>();
        for (String codec : CODECS)
            for (int i = 0; i < EACH; i++)
                all.add(codec + " " + i);
        return all;
    }

    static KafkaProducer<String, String> producer(String codec) {
        Properties p = new Properties();
        p.put("bootstrap.servers", BOOTSTRAP);
        p.put("acks", "all");
        p.put("enable.idempotence", "true");
        p.put("compression.type", codec);
        p.put("linger.ms", "20");
        p.put("max.block.ms", "20000");
        p.put("key.serializer", "org.apache.kafka.common.serialization.StringSerializer");
        p.put("value.serializer", "org.apache.kafka.common.serialization.StringSerializer");
        return new KafkaProducer<>(p);
    }

    /* The steps. */

    static void connect() throws Exception {
        check(get(admin.describeCluster().nodes()).size() == 1, "one broker");
        check(get(admin.describeCluster().clusterId()) != null && get(admin.describeCluster().controller()) != null, "controller");
    }

    static void createTopic() throws Exception {
        NewTopic topic = new NewTopic(TOPIC, 4, (short) 1).configs(Collections.singletonMap("retention.ms", "3600000"));
        get(admin.createTopics(Collections.singleton(topic)).all());
        try {
            get(admin.createTopics(Collections.singleton(topic)).all());
            check(false, "a second time it was not refused");
        } catch (ExecutionException e) {
            check(e.getCause() instanceof TopicExistsException, "refused with " + e.getCause());
        }
    }

    static void listTopics() throws Exception {
        check(get(admin.listTopics().names()).contains(TOPIC), "not listed");
        check(describeTopic().partitions().size() == 4, "four partitions");
    }

    static void produce(String codec) throws Exception {
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        try (KafkaProducer<String, String> producer = producer(codec)) {
            for (int i = 0; i < EACH; i++)
                sent.add(producer.send(new ProducerRecord<>(TOPIC, i % 4, codec + " " + i, codec + " " + i)));
            producer.flush();
        }
        for (Future<RecordMetadata> future : sent)
            check(get(future).hasOffset(), "no offset");
    }

    static List<TopicPartition> partitions() {
        List<TopicPartition> all = new ArrayList<>();
        for (int i = 0; i < 4; i++)
            all.add(new TopicPartition(TOPIC, i));
        return all;
    }

    static void assign() throws Exception {
        Member member = new Member(PREFIX + "-assign");
        member.consumer.assign(partitions());
        member.consumer.seekToBeginning(partitions());
        waitFor("all records", () -> member.poll() < 0 || member.found.size() >= produced().size());
        check(member.values().equals(produced()) && member.found.size() == produced().size(), "other records than produced");
        check(member.found.stream().allMatch(r -> r.key().equals(r.value())), "keys");
        member.close();
    }

    static long offset(int partition, OffsetSpec spec) throws Exception {
        TopicPartition p = new TopicPartition(TOPIC, partition);
        ListOffsetsResult result = admin.listOffsets(Collections.singletonMap(p, spec));
        return get(result.partitionResult(p)).offset();
    }

    static void offsets() throws Exception {
        long sum = 0;
        for (int i = 0; i < 4; i++) {
            sum += offset(i, OffsetSpec.latest());
            check(offset(i, OffsetSpec.earliest()) == 0, "earliest");
        }
        check(sum == produced().size(), "latest");
        check(offset(0, OffsetSpec.forTimestamp(1000)) == 0, "by time");
    }

    static void group() throws Exception {
        Member first = new Member(GROUP).subscribe();
        waitFor("4 partitions of the first", () -> first.poll() == 4);
        Member second = new Member(GROUP).subscribe();
        waitFor("2 and 2", () -> first.poll() == 2 & second.poll() == 2);
        waitFor("all records", () -> {
            first.poll();
            second.poll();
            Set<String> all = first.values();
            all.addAll(second.values());
            return all.containsAll(produced());
        });
        first.consumer.commitSync();
        first.close();
        waitFor("4 of the second", () -> second.poll() == 4);
        second.close();
    }

    static void commit() throws Exception {
        TopicPartition one = new TopicPartition(TOPIC, 1);
        Member before = new Member(PREFIX + "-commit").subscribe();
        waitFor("records", () -> before.poll() < 0 || before.found.size() >= 200);
        before.consumer.commitSync(Collections.singletonMap(one, new OffsetAndMetadata(10, "ten")));
        OffsetAndMetadata committed = before.consumer.committed(Collections.singleton(one)).get(one);
        check(committed.offset() == 10 && committed.metadata().equals("ten"), "committed " + committed);
        before.close();
        Member after = new Member(PREFIX + "-commit").subscribe();
        waitFor("records of partition 1", () -> after.poll() < 0 || after.found.stream().anyMatch(r -> r.partition() == 1));
        check(after.found.stream().filter(r -> r.partition() == 1).findFirst().get().offset() == 10, "goes on elsewhere");
        after.close();
    }

    static void staticMember() throws Exception {
        String group = PREFIX + "-static";
        Member first = new Member(group, "group.instance.id", "i0").subscribe();
        Member second = new Member(group, "group.instance.id", "i1").subscribe();
        waitFor("2 and 2", () -> first.poll() == 2 & second.poll() == 2);
        Set<Integer> before = second.owned();
        Set<Integer> other = first.owned();
        second.close();
        Member again = new Member(group, "group.instance.id", "i1").subscribe();
        waitFor("2 and 2 again", () -> first.poll() == 2 & again.poll() == 2);
        check(again.owned().equals(before), "other partitions than before");
        check(first.owned().equals(other), "the other member's changed");
        again.close();
        first.close();
    }

    static void pattern() throws Exception {
        Member member = new Member(PREFIX + "-pattern");
        if (PROTOCOL.equals("consumer")) {
            Class<?> type = Class.forName("org.apache.kafka.clients.consumer.SubscriptionPattern");
            Object re2j = type.getConstructor(String.class).newInstance(PREFIX + "-to.*");
            KafkaConsumer.class.getMethod("subscribe", type).invoke(member.consumer, re2j);
        } else {
            member.consumer.subscribe(Pattern.compile(PREFIX + "-to.*"));
        }
        waitFor("all records", () -> member.poll() < 0 || member.found.size() >= produced().size());
        member.close();
    }

    static boolean listed(String group) throws Exception {
        return get(admin.listConsumerGroups().all()).stream().anyMatch(g -> g.groupId().equals(group));
    }

    static void listGroups() throws Exception {
        check(listed(GROUP), "not listed");
    }

    static ConsumerGroupDescription describe(String group) throws Exception {
        return get(admin.describeConsumerGroups(Collections.singleton(group)).all()).get(group);
    }

    static void describeGroup() throws Exception {
        String group = PREFIX + "-described";
        Member member = new Member(group, "client.id", "described-client").subscribe();
        waitFor("assignment", () -> member.poll() == 4);
        waitFor("state Stable", () -> member.poll() == 4 && stateOf(group).equals("Stable"));
        Collection<MemberDescription> members = describe(group).members();
        check(members.size() == 1, "one member");
        MemberDescription one = members.iterator().next();
        check(one.clientId().equals("described-client") && one.host().contains("127.0.0.1"), "client id and host: " + one);
        check(one.assignment().topicPartitions().size() == 4, "its assignment");
        try {
            String type = String.valueOf((Object) call(describe(group), "type"));
            check(type.equalsIgnoreCase(PROTOCOL), "type " + type);
        } catch (Skip unknownToOldClients) {
            check(PROTOCOL.equals("classic"), "type");
        }
        member.close();
        waitFor("state Empty", () -> stateOf(group).equals("Empty"));
    }

    static String stateOf(String group) throws Exception {
        return String.valueOf((Object) call(describe(group), "groupState", "state"));
    }

    static Map<TopicPartition, OffsetAndMetadata> committed() throws Exception {
        return get(admin.listConsumerGroupOffsets(GROUP).partitionsToOffsetAndMetadata());
    }

    static void resetOffsets() throws Exception {
        TopicPartition p = new TopicPartition(TOPIC, 0);
        get(admin.alterConsumerGroupOffsets(GROUP, Collections.singletonMap(p, new OffsetAndMetadata(3))).all());
        check(committed().get(p).offset() == 3, "offset " + committed().get(p));
    }

    static void deleteOffsets() throws Exception {
        TopicPartition p = new TopicPartition(TOPIC, 0);
        get(admin.deleteConsumerGroupOffsets(GROUP, Collections.singleton(p)).all());
        check(!committed().containsKey(p), "still there");
    }

    static void deleteGroup() throws Exception {
        get(admin.deleteConsumerGroups(Collections.singleton(GROUP)).all());
        check(!listed(GROUP), "still listed");
    }

    static void addPartitions() throws Exception {
        get(admin.createPartitions(Collections.singletonMap(TOPIC, NewPartitions.increaseTo(6))).all());
        waitFor("6 partitions", () -> describeTopic().partitions().size() == 6);
        try (KafkaProducer<String, String> producer = producer("none")) {
            check(get(producer.send(new ProducerRecord<>(TOPIC, 5, "new", "new"))).offset() == 0, "offset");
        }
    }

    static String retention() throws Exception {
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, TOPIC);
        Map<ConfigResource, Config> all = get(admin.describeConfigs(Collections.singleton(resource)).all());
        return all.get(resource).get("retention.ms").value();
    }

    static void alterConfig() throws Exception {
        check(retention().equals("3600000"), "as created: " + retention());
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, TOPIC);
        AlterConfigOp op = new AlterConfigOp(new ConfigEntry("retention.ms", "7200000"), AlterConfigOp.OpType.SET);
        Map<ConfigResource, Collection<AlterConfigOp>> changes = new HashMap<>();
        changes.put(resource, Arrays.asList(op));
        get(admin.incrementalAlterConfigs(changes).all());
        waitFor("the new value", () -> retention().equals("7200000"));
    }

    static void deleteRecords() throws Exception {
        TopicPartition p = new TopicPartition(TOPIC, 2);
        Map<TopicPartition, RecordsToDelete> what = Collections.singletonMap(p, RecordsToDelete.beforeOffset(5));
        check(get(admin.deleteRecords(what).lowWatermarks().get(p)).lowWatermark() == 5, "low watermark");
        check(offset(2, OffsetSpec.earliest()) == 5, "earliest");
    }

    static void deleteTopic() throws Exception {
        get(admin.deleteTopics(Collections.singleton(TOPIC)).all());
        waitFor("it to go", () -> !get(admin.listTopics().names()).contains(TOPIC));
    }

    public static void main(String[] arguments) throws Exception {
        Properties p = new Properties();
        p.put("bootstrap.servers", BOOTSTRAP);
        p.put("default.api.timeout.ms", "20000");
        p.put("request.timeout.ms", "15000");
        admin = Admin.create(p);
        System.out.println("{\"client\": \"Java, Apache Kafka " + AppInfoParser.getVersion() + "\"}");
        step("connect", Matrix::connect);
        step("create topic", Matrix::createTopic);
        step("list topics", Matrix::listTopics);
        for (String codec : CODECS)
            step("produce " + codec, () -> produce(codec));
        step("assign", Matrix::assign);
        step("offsets", Matrix::offsets);
        step("group", Matrix::group);
        step("commit", Matrix::commit);
        step("static member", Matrix::staticMember);
        step("pattern", Matrix::pattern);
        step("list groups", Matrix::listGroups);
        step("describe group", Matrix::describeGroup);
        step("reset offsets", Matrix::resetOffsets);
        step("delete offsets", Matrix::deleteOffsets);
        step("delete group", Matrix::deleteGroup);
        step("add partitions", Matrix::addPartitions);
        step("alter config", Matrix::alterConfig);
        step("delete records", Matrix::deleteRecords);
        step("delete topic", Matrix::deleteTopic);
        admin.close(Duration.ofSeconds(1));
        System.exit(0);
    }
}
