import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;

import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StoreQueryParameters;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.JoinWindows;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.StreamJoined;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.QueryableStoreTypes;

/**
 * A Kafka Streams application; test_streams.py runs it, and kills it.
 *
 * usage: Words BOOTSTRAP APPLICATION-ID STATE-DIRECTORY GUARANTEE THREADS
 *
 * lines (key: an id of its own, value: words)
 *   -> counts: each word and how often it came until then (repartition, state store)
 *   -> sums: each first word and the sum of the lengths of its lines until then (repartition, state store)
 *   -> windows: each word's count in windows of a second (repartition, window store)
 *   -> joined: each line beside its twin in the topic twins (join of streams: two window stores)
 * Nothing is cached, so that each count is an output record: with exactly_once_v2 those of a word are 1, 2, 3 ... without a
 * gap or a repetition, whatever was killed.
 *
 * After a line on standard input it writes the counts that its own stores hold, and ends.
 */
public class Words {
    static KTable<String, Long> topology(StreamsBuilder b) {
        KStream<String, String> lines = b.stream("lines", Consumed.with(Serdes.String(), Serdes.String()));
        KStream<String, String> words = lines.flatMapValues(line -> Arrays.asList(line.split(" ")));

        KTable<String, Long> counts = words
            .groupBy((id, word) -> word, Grouped.with("by-word", Serdes.String(), Serdes.String()))
            .count(Materialized.<String, Long, KeyValueStore<Bytes, byte[]>>as("counts"));
        counts.toStream().mapValues(n -> n.toString()).to("counts", Produced.with(Serdes.String(), Serdes.String()));

        lines.groupBy((id, line) -> line.split(" ")[0], Grouped.with("by-sender", Serdes.String(), Serdes.String()))
            .aggregate(() -> 0L, (sender, line, sum) -> sum + line.length(), Materialized.with(Serdes.String(), Serdes.Long()))
            .toStream().mapValues(n -> n.toString()).to("sums", Produced.with(Serdes.String(), Serdes.String()));

        words.groupBy((id, word) -> word, Grouped.with("by-word-windowed", Serdes.String(), Serdes.String()))
            .windowedBy(TimeWindows.ofSizeAndGrace(Duration.ofSeconds(1), Duration.ofHours(1)))
            .count(Materialized.as("windows"))
            .toStream((w, n) -> w.key() + "@" + w.window().start()).mapValues(n -> n.toString())
            .to("windows", Produced.with(Serdes.String(), Serdes.String()));

        lines.join(b.stream("twins", Consumed.with(Serdes.String(), Serdes.String())), (line, twin) -> line + "=" + twin,
                JoinWindows.ofTimeDifferenceWithNoGrace(Duration.ofHours(1)),
                StreamJoined.with(Serdes.String(), Serdes.String(), Serdes.String()))
            .to("joined", Produced.with(Serdes.String(), Serdes.String()));
        return counts;
    }

    static Map<String, Long> stored(KafkaStreams streams) {
        Map<String, Long> found = new TreeMap<>();
        try (KeyValueIterator<String, Long> all = streams.store(
                StoreQueryParameters.fromNameAndType("counts", QueryableStoreTypes.<String, Long>keyValueStore())).all()) {
            while (all.hasNext()) {
                KeyValue<String, Long> one = all.next();
                found.put(one.key, one.value);
            }
        }
        return found;
    }

    public static void main(String[] args) throws Exception {
        Properties p = new Properties();
        p.put("bootstrap.servers", args[0]);
        p.put("application.id", args[1]);
        p.put("state.dir", args[2]);
        p.put("processing.guarantee", args[3]);
        p.put("num.stream.threads", args[4]);
        p.put("group.protocol", "classic");
        p.put("commit.interval.ms", "100");
        p.put("statestore.cache.max.bytes", "0");
        p.put("replication.factor", "1");
        p.put("default.key.serde", Serdes.StringSerde.class.getName());
        p.put("default.value.serde", Serdes.StringSerde.class.getName());
        p.put("consumer.auto.offset.reset", "earliest");
        p.put("consumer.session.timeout.ms", "6000");
        p.put("consumer.heartbeat.interval.ms", "1000");
        p.put("consumer.max.poll.records", "50");
        p.put("producer.transaction.timeout.ms", "10000");
        p.put("reconnect.backoff.max.ms", "200");

        StreamsBuilder builder = new StreamsBuilder();
        topology(builder);
        KafkaStreams streams = new KafkaStreams(builder.build(p), p);
        streams.setUncaughtExceptionHandler(e -> {
            System.out.println("replaced: " + e + (e.getCause() == null ? "" : ": " + e.getCause()));
            return StreamThreadExceptionResponse.REPLACE_THREAD;
        });
        streams.setStateListener((now, before) -> System.out.println("state: " + now));
        streams.start();
        String line = new BufferedReader(new InputStreamReader(System.in)).readLine();
        if (line != null) {
            stored(streams).forEach((word, n) -> System.out.println("stored: " + word + " " + n));
            System.out.println("closed: " + streams.close(Duration.ofSeconds(30)));
        }
        System.exit(0);
    }
}
