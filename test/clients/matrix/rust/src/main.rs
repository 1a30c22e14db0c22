//! The scenario with Rust's rdkafka.

use std::collections::{BTreeSet, HashSet};
use std::env;
use std::future::Future;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::{Header, Message, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];
const EACH: usize = 100;
const SECONDS: Duration = Duration::from_secs(20);

/// How a step ends that did not work.
enum Problem {
    Skip(&'static str),
    Failed(String),
}

impl<E: std::fmt::Display> From<E> for Problem {
    fn from(error: E) -> Self {
        Problem::Failed(error.to_string())
    }
}

type Outcome = Result<(), Problem>;

fn check(condition: bool, what: impl Into<String>) -> Outcome {
    if condition {
        Ok(())
    } else {
        Err(Problem::Failed(what.into()))
    }
}

fn setting(name: &str, otherwise: &str) -> String {
    env::var(name).unwrap_or_else(|_| otherwise.to_string())
}

fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', " "))
}

fn report(name: &str, started: Instant, outcome: Outcome) {
    let ms = started.elapsed().as_millis();
    match outcome {
        Ok(()) => println!("{{\"step\": {}, \"ok\": true, \"ms\": {}}}", quote(name), ms),
        Err(Problem::Skip(why)) => println!("{{\"step\": {}, \"skip\": {}}}", quote(name), quote(why)),
        Err(Problem::Failed(why)) => {
            println!("{{\"step\": {}, \"ok\": false, \"ms\": {}, \"note\": {}}}", quote(name), ms, quote(&why))
        }
    }
}

fn wait_for(what: &str, mut condition: impl FnMut() -> Result<bool, Problem>) -> Outcome {
    let deadline = Instant::now() + Duration::from_secs(40);
    while !condition()? {
        check(Instant::now() < deadline, format!("waited in vain for {what}"))?;
    }
    Ok(())
}

fn values() -> HashSet<String> {
    CODECS.iter().flat_map(|codec| (0..EACH).map(move |i| format!("{codec} {i}"))).collect()
}

/// The error of the only element of an admin call's result, if any.
fn single<T>(results: Vec<Result<T, (String, RDKafkaErrorCode)>>) -> Result<T, RDKafkaErrorCode> {
    results.into_iter().next().expect("a result").map_err(|(_, code)| code)
}

/// A member of a group with what it has consumed: (partition, offset, value, key).
struct Member {
    consumer: BaseConsumer,
    found: Vec<(i32, i64, String, String)>,
}

impl Member {
    fn poll(&mut self) -> Result<usize, Problem> {
        let until = Instant::now() + Duration::from_millis(50);
        while let Some(record) = self.consumer.poll(until.saturating_duration_since(Instant::now())) {
            if let Ok(r) = record {
                let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).to_string();
                self.found.push((r.partition(), r.offset(), text(r.payload()), text(r.key())));
            }
            if Instant::now() >= until {
                break;
            }
        }
        Ok(self.consumer.assignment()?.count())
    }

    fn values(&self) -> HashSet<String> {
        self.found.iter().map(|f| f.2.clone()).collect()
    }

    fn partitions(&self) -> Result<BTreeSet<i32>, Problem> {
        Ok(self.consumer.assignment()?.elements().iter().map(|e| e.partition()).collect())
    }
}

struct Scenario {
    bootstrap: String,
    prefix: String,
    protocol: String,
    topic: String,
    group: String,
    admin: AdminClient<DefaultClientContext>,
}

impl Scenario {
    fn new() -> Scenario {
        let (bootstrap, prefix) = (setting("BOOTSTRAP", ""), setting("PREFIX", "m"));
        Scenario {
            admin: ClientConfig::new().set("bootstrap.servers", &bootstrap).set("log_level", "0").create().expect("admin"),
            topic: format!("{prefix}-topic"),
            group: format!("{prefix}-group"),
            protocol: setting("PROTOCOL", "classic"),
            bootstrap,
            prefix,
        }
    }

    fn member(&self, group: &str, more: &[(&str, &str)]) -> Result<Member, Problem> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap).set("group.id", group).set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest").set("log_level", "0");
        if self.protocol == "consumer" {
            config.set("group.protocol", "consumer");
        } else {
            config.set("session.timeout.ms", "6000").set("heartbeat.interval.ms", "500")
                .set("partition.assignment.strategy", "range");
        }
        for (name, value) in more {
            config.set(*name, *value);
        }
        Ok(Member { consumer: config.create()?, found: Vec::new() })
    }

    fn joined(&self, group: &str, more: &[(&str, &str)]) -> Result<Member, Problem> {
        let member = self.member(group, more)?;
        member.consumer.subscribe(&[&self.topic])?;
        Ok(member)
    }

    fn producer(&self, codec: &str) -> Result<FutureProducer, Problem> {
        Ok(ClientConfig::new().set("bootstrap.servers", &self.bootstrap).set("enable.idempotence", "true")
            .set("compression.type", codec).set("linger.ms", "20").set("message.timeout.ms", "20000").set("log_level", "0")
            .create()?)
    }

    fn metadata_partitions(&self) -> Result<usize, Problem> {
        let metadata = self.admin.inner().fetch_metadata(None, SECONDS)?;
        Ok(metadata.topics().iter().find(|t| t.name() == self.topic).map_or(0, |t| t.partitions().len()))
    }

    async fn connect(&self) -> Outcome {
        check(self.admin.inner().fetch_metadata(None, SECONDS)?.brokers().len() == 1, "one broker")
    }

    async fn create_topic(&self) -> Outcome {
        let topic = NewTopic::new(&self.topic, 4, TopicReplication::Fixed(1)).set("retention.ms", "3600000");
        single(self.admin.create_topics(&[topic], &AdminOptions::new()).await?)?;
        let again = NewTopic::new(&self.topic, 4, TopicReplication::Fixed(1));
        let refused = single(self.admin.create_topics(&[again], &AdminOptions::new()).await?);
        check(refused == Err(RDKafkaErrorCode::TopicAlreadyExists), format!("a second time: {refused:?}"))
    }

    async fn list_topics(&self) -> Outcome {
        check(self.metadata_partitions()? == 4, "four partitions")
    }

    async fn produce(&self, codec: &str) -> Outcome {
        let producer = self.producer(codec)?;
        let texts: Vec<String> = (0..EACH).map(|i| format!("{codec} {i}")).collect();
        let mut sent = Vec::new();
        for (i, text) in texts.iter().enumerate() {
            let headers = OwnedHeaders::new().insert(Header { key: "n", value: Some("1") });
            let record = FutureRecord::to(&self.topic).partition((i % 4) as i32).key(text).payload(text).headers(headers);
            sent.push(producer.send_result(record).map_err(|(e, _)| e)?);
        }
        for one in sent {
            one.await?.map_err(|(e, _)| e)?;
        }
        Ok(())
    }

    async fn assign(&self) -> Outcome {
        let mut m = self.member(&format!("{}-assign", self.prefix), &[])?;
        let mut list = TopicPartitionList::new();
        for p in 0..4 {
            list.add_partition_offset(&self.topic, p, Offset::Beginning)?;
        }
        m.consumer.assign(&list)?;
        wait_for("all records", || {
            m.poll()?;
            Ok(m.found.len() >= values().len())
        })?;
        check(m.values() == values() && m.found.len() == values().len(), "other records than produced")?;
        check(m.found.iter().all(|f| f.2 == f.3), "keys")
    }

    async fn offsets(&self) -> Outcome {
        let m = self.member(&format!("{}-assign", self.prefix), &[])?;
        let mut sum = 0;
        for p in 0..4 {
            let (low, high) = m.consumer.fetch_watermarks(&self.topic, p, SECONDS)?;
            check(low == 0, "earliest")?;
            sum += high;
        }
        check(sum == values().len() as i64, "latest")?;
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic, 0, Offset::Offset(1000))?;
        let found = m.consumer.offsets_for_times(list, SECONDS)?;
        check(found.elements()[0].offset() == Offset::Offset(0), "by time")
    }

    async fn group_of_two(&self) -> Outcome {
        let mut first = self.joined(&self.group, &[])?;
        wait_for("4 partitions of the first", || Ok(first.poll()? == 4))?;
        let mut second = self.joined(&self.group, &[])?;
        wait_for("2 and 2", || {
            let (a, b) = (first.poll()?, second.poll()?);
            Ok(a == 2 && b == 2)
        })?;
        wait_for("all records", || {
            first.poll()?;
            second.poll()?;
            Ok(first.values().union(&second.values()).cloned().collect::<HashSet<_>>() == values())
        })?;
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic, *first.partitions()?.first().expect("a partition"), Offset::Offset(100))?;
        first.consumer.commit(&list, CommitMode::Sync)?;
        drop(first);
        wait_for("4 of the second", || Ok(second.poll()? == 4))
    }

    async fn commit(&self) -> Outcome {
        let group = format!("{}-commit", self.prefix);
        let mut before = self.joined(&group, &[])?;
        wait_for("records", || {
            before.poll()?;
            Ok(before.found.len() >= 200)
        })?;
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic, 1, Offset::Offset(10))?;
        before.consumer.commit(&list, CommitMode::Sync)?;
        let mut asked = TopicPartitionList::new();
        asked.add_partition(&self.topic, 1);
        let committed = before.consumer.committed_offsets(asked, SECONDS)?;
        check(committed.elements()[0].offset() == Offset::Offset(10), format!("committed {committed:?}"))?;
        drop(before);
        let mut after = self.joined(&group, &[])?;
        wait_for("records of partition 1", || {
            after.poll()?;
            Ok(after.found.iter().any(|f| f.0 == 1))
        })?;
        check(after.found.iter().find(|f| f.0 == 1).map(|f| f.1) == Some(10), "goes on elsewhere")
    }

    async fn static_member(&self) -> Outcome {
        let group = format!("{}-static", self.prefix);
        let mut first = self.joined(&group, &[("group.instance.id", "i0")])?;
        let mut second = self.joined(&group, &[("group.instance.id", "i1")])?;
        wait_for("2 and 2", || {
            let (a, b) = (first.poll()?, second.poll()?);
            Ok(a == 2 && b == 2)
        })?;
        let before = second.partitions()?;
        drop(second);
        let mut again = self.joined(&group, &[("group.instance.id", "i1")])?;
        wait_for("2 and 2 again", || {
            let (a, b) = (first.poll()?, again.poll()?);
            Ok(a == 2 && b == 2)
        })?;
        check(again.partitions()? == before, "other partitions than before")
    }

    async fn pattern(&self) -> Outcome {
        let mut m = self.member(&format!("{}-pattern", self.prefix), &[])?;
        m.consumer.subscribe(&[&format!("^{}-to.*", self.prefix)])?;
        wait_for("all records", || {
            m.poll()?;
            Ok(m.found.len() >= values().len())
        })
    }

    fn listed(&self, group: &str) -> Result<bool, Problem> {
        let groups = self.admin.inner().fetch_group_list(None, SECONDS)?;
        Ok(groups.groups().iter().any(|g| g.name() == group))
    }

    async fn list_groups(&self) -> Outcome {
        if self.protocol == "consumer" {
            return Err(Problem::Skip("the call knows classic groups only"));
        }
        check(self.listed(&self.group)?, "not listed")
    }

    async fn describe_group(&self) -> Outcome {
        if self.protocol == "consumer" {
            return Err(Problem::Skip("the call knows classic groups only"));
        }
        let group = format!("{}-described", self.prefix);
        let mut m = self.joined(&group, &[("client.id", "described-client")])?;
        wait_for("state Stable", || {
            if m.poll()? != 4 {
                return Ok(false);
            }
            let groups = self.admin.inner().fetch_group_list(Some(&group), SECONDS)?;
            let found = &groups.groups()[0];
            check(found.state() != "Stable" || found.members()[0].client_id() == "described-client", "client id")?;
            Ok(found.state() == "Stable" && found.members().len() == 1)
        })?;
        drop(m);
        wait_for("state Empty", || Ok(self.admin.inner().fetch_group_list(Some(&group), SECONDS)?.groups()[0].state() == "Empty"))
    }

    async fn reset_offsets(&self) -> Outcome {
        let c = self.member(&self.group, &[])?.consumer;
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic, 0, Offset::Offset(3))?;
        c.commit(&list, CommitMode::Sync)?;
        let mut asked = TopicPartitionList::new();
        asked.add_partition(&self.topic, 0);
        check(c.committed_offsets(asked, SECONDS)?.elements()[0].offset() == Offset::Offset(3), "offset")
    }

    async fn delete_group(&self) -> Outcome {
        single(self.admin.delete_groups(&[&self.group], &AdminOptions::new()).await?)?;
        check(!self.listed(&self.group)?, "still listed")
    }

    async fn add_partitions(&self) -> Outcome {
        single(self.admin.create_partitions(&[NewPartitions::new(&self.topic, 6)], &AdminOptions::new()).await?)?;
        wait_for("6 partitions", || Ok(self.metadata_partitions()? == 6))?;
        let producer = self.producer("none")?;
        let record = FutureRecord::<str, str>::to(&self.topic).partition(5).payload("new");
        let delivery = producer.send(record, SECONDS).await.map_err(|(e, _)| e)?;
        check(delivery.offset == 0, "offset")
    }

    async fn retention(&self) -> Result<String, Problem> {
        let found = self.admin.describe_configs(&[ResourceSpecifier::Topic(&self.topic)], &AdminOptions::new()).await?;
        let config = found.into_iter().next().expect("a result")?;
        Ok(config.get("retention.ms").and_then(|e| e.value.clone()).unwrap_or_default())
    }

    async fn alter_config(&self) -> Outcome {
        check(self.retention().await? == "3600000", "as created")?;
        let change = AlterConfig::new(ResourceSpecifier::Topic(&self.topic)).set("retention.ms", "7200000");
        for result in self.admin.alter_configs(&[change], &AdminOptions::new()).await? {
            result.map_err(|(_, code)| code)?;
        }
        for _ in 0..100 {
            if self.retention().await? == "7200000" {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        check(false, "waited in vain for the new value")
    }

    async fn delete_records(&self) -> Outcome {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic, 2, Offset::Offset(5))?;
        self.admin.delete_records(&list, &AdminOptions::new()).await?;
        let m = self.member(&format!("{}-assign", self.prefix), &[])?;
        let (low, _) = m.consumer.fetch_watermarks(&self.topic, 2, SECONDS)?;
        check(low == 5, format!("earliest {low}"))
    }

    async fn delete_topic(&self) -> Outcome {
        single(self.admin.delete_topics(&[&self.topic], &AdminOptions::new()).await?)?;
        wait_for("it to go", || Ok(self.metadata_partitions()? == 0))
    }
}

async fn step(name: &str, body: impl Future<Output = Outcome>) {
    let started = Instant::now();
    let outcome = body.await;
    report(name, started, outcome);
}

async fn skip(name: &str, why: &'static str) {
    report(name, Instant::now(), Err(Problem::Skip(why)));
}

async fn run() {
    let s = Scenario::new();
    println!("{{\"client\": \"Rust rdkafka 0.39, librdkafka {}\"}}", rdkafka::util::get_rdkafka_version().1);
    step("connect", s.connect()).await;
    step("create topic", s.create_topic()).await;
    step("list topics", s.list_topics()).await;
    for codec in CODECS {
        step(&format!("produce {codec}"), s.produce(codec)).await;
    }
    step("assign", s.assign()).await;
    step("offsets", s.offsets()).await;
    step("group", s.group_of_two()).await;
    step("commit", s.commit()).await;
    step("static member", s.static_member()).await;
    step("pattern", s.pattern()).await;
    step("list groups", s.list_groups()).await;
    step("describe group", s.describe_group()).await;
    step("reset offsets", s.reset_offsets()).await;
    skip("delete offsets", "no such call").await;
    step("delete group", s.delete_group()).await;
    step("add partitions", s.add_partitions()).await;
    step("alter config", s.alter_config()).await;
    step("delete records", s.delete_records()).await;
    step("delete topic", s.delete_topic()).await;
}

fn main() {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime").block_on(run());
}
