// The scenario with franz-go.
package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	. "pgtopic/matrix/scenario"
)

var (
	ctx    = context.Background()
	client *kgo.Client
	admin  *kadm.Client
)

// secured is what SECURITY and MECHANISM ask for.
func secured() (options []kgo.Opt) {
	if config := TLS(); config != nil {
		options = append(options, kgo.DialTLSConfig(config))
	}
	switch Mechanism {
	case "SCRAM-SHA-256":
		options = append(options, kgo.SASL(scram.Auth{User: Login, Pass: Password}.AsSha256Mechanism()))
	case "PLAIN":
		options = append(options, kgo.SASL(plain.Auth{User: Login, Pass: Password}.AsMechanism()))
	}
	return options
}

func open(options ...kgo.Opt) (*kgo.Client, error) {
	options = append(secured(), options...)
	return kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(Bootstrap), kgo.MetadataMinAge(100 * time.Millisecond),
		kgo.MetadataMaxAge(time.Second)}, options...)...)
}

// A member of a group, with what it has consumed and what it owns.
type member struct {
	client  *kgo.Client
	records []*kgo.Record
	owned   map[int32]bool
}

func join(group string, options ...kgo.Opt) (*member, error) {
	m := &member{owned: map[int32]bool{}}
	lost := func(_ context.Context, _ *kgo.Client, what map[string][]int32) {
		for _, p := range what[Topic] {
			delete(m.owned, p)
		}
	}
	all := []kgo.Opt{kgo.ConsumerGroup(group), kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.HeartbeatInterval(500 * time.Millisecond),
		kgo.SessionTimeout(6 * time.Second), kgo.OnPartitionsRevoked(lost), kgo.OnPartitionsLost(lost),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, what map[string][]int32) {
			for _, p := range what[Topic] {
				m.owned[p] = true
			}
		})}
	if Protocol == "consumer" {
		ctx = context.WithValue(context.Background(), "opt_in_kafka_next_gen_balancer_beta", true)
		all = append(all, kgo.WithContext(ctx))
	}
	if len(options) == 0 {
		options = []kgo.Opt{kgo.ConsumeTopics(Topic)}
	}
	var err error
	m.client, err = open(append(all, options...)...)
	return m, err
}

// poll takes the next records; the result is the number of partitions owned.
func (m *member) poll() int {
	limited, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	fetches := m.client.PollFetches(limited)
	fetches.EachRecord(func(r *kgo.Record) { m.records = append(m.records, r) })
	owned := len(m.owned)
	m.client.AllowRebalance()
	return owned
}

func (m *member) values() map[string]bool {
	found := map[string]bool{}
	for _, r := range m.records {
		found[string(r.Value)] = true
	}
	return found
}

func (m *member) close() { m.client.CloseAllowingRebalance() }

func connect() error {
	meta, err := admin.BrokerMetadata(ctx)
	if err != nil {
		return err
	}
	return Check(len(meta.Brokers) == 1 && meta.Cluster != "", "brokers %v", meta.Brokers)
}

func createTopic() error {
	value := "3600000"
	configs := map[string]*string{"retention.ms": &value}
	if _, err := admin.CreateTopic(ctx, 4, 1, configs, Topic); err != nil {
		return err
	}
	_, err := admin.CreateTopic(ctx, 4, 1, configs, Topic)
	return Check(errors.Is(err, kerr.TopicAlreadyExists), "a second time: %v", err)
}

func listTopics() error {
	topics, err := admin.ListTopics(ctx)
	if err != nil {
		return err
	}
	return Check(len(topics[Topic].Partitions) == 4, "%d partitions", len(topics[Topic].Partitions))
}

func produce(codec string) error {
	codecs := map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(),
		"snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}
	p, err := open(kgo.ProducerBatchCompression(codecs[codec]), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(20*time.Millisecond), kgo.RecordDeliveryTimeout(20*time.Second))
	if err != nil {
		return err
	}
	defer p.Close()
	var records []*kgo.Record
	for i := 0; i < Each; i++ {
		value := []byte(fmt.Sprintf("%s %d", codec, i))
		records = append(records, &kgo.Record{Topic: Topic, Partition: int32(i % 4), Key: value, Value: value})
	}
	return p.ProduceSync(ctx, records...).FirstErr()
}

func assign() error {
	start := map[int32]kgo.Offset{}
	for p := int32(0); p < 4; p++ {
		start[p] = kgo.NewOffset().At(0)
	}
	c, err := open(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{Topic: start}))
	if err != nil {
		return err
	}
	m := &member{client: c}
	defer m.close()
	if err := WaitFor("all records", func() (bool, error) { m.poll(); return len(m.records) >= len(Values()), nil }); err != nil {
		return err
	}
	for _, r := range m.records {
		if string(r.Key) != string(r.Value) {
			return fmt.Errorf("key %q of value %q", r.Key, r.Value)
		}
	}
	return CheckValues(m.values())
}

func offsets() error {
	ends, err := admin.ListEndOffsets(ctx, Topic)
	if err != nil {
		return err
	}
	sum := int64(0)
	ends.Each(func(o kadm.ListedOffset) { sum += o.Offset })
	starts, err := admin.ListStartOffsets(ctx, Topic)
	if err != nil {
		return err
	}
	first, _ := starts.Lookup(Topic, 0)
	byTime, err := admin.ListOffsetsAfterMilli(ctx, 1000, Topic)
	if err != nil {
		return err
	}
	later, _ := byTime.Lookup(Topic, 0)
	return Check(sum == int64(len(Values())) && first.Offset == 0 && later.Offset == 0, "latest %d, earliest %d, by time %d",
		sum, first.Offset, later.Offset)
}

func group() error {
	first, err := join(Group)
	if err != nil {
		return err
	}
	if err := WaitFor("4 partitions of the first", func() (bool, error) { return first.poll() == 4, nil }); err != nil {
		return err
	}
	second, err := join(Group)
	if err != nil {
		return err
	}
	if err := WaitFor("2 and 2", func() (bool, error) {
		a, b := first.poll(), second.poll()
		return a == 2 && b == 2, nil
	}); err != nil {
		return err
	}
	if err := WaitFor("all records", func() (bool, error) {
		first.poll()
		second.poll()
		all := first.values()
		for value := range second.values() {
			all[value] = true
		}
		return CheckValues(all) == nil, nil
	}); err != nil {
		return err
	}
	if err := first.client.CommitUncommittedOffsets(ctx); err != nil {
		return err
	}
	first.close()
	err = WaitFor("4 of the second", func() (bool, error) { return second.poll() == 4, nil })
	second.close()
	return err
}

func commit() error {
	name := Prefix + "-commit"
	before, err := join(name)
	if err != nil {
		return err
	}
	if err := WaitFor("records", func() (bool, error) { before.poll(); return len(before.records) >= 200, nil }); err != nil {
		return err
	}
	for _, r := range before.records {
		if r.Partition == 1 && r.Offset == 9 {
			if err := before.client.CommitRecords(ctx, r); err != nil {
				return err
			}
		}
	}
	committed, err := admin.FetchOffsets(ctx, name)
	if err != nil {
		return err
	}
	if at, _ := committed.Lookup(Topic, 1); at.At != 10 {
		return fmt.Errorf("committed %v", at)
	}
	before.close()
	after, err := join(name)
	if err != nil {
		return err
	}
	defer after.close()
	return WaitFor("records of partition 1", func() (bool, error) {
		after.poll()
		for _, r := range after.records {
			if r.Partition == 1 {
				return true, Check(r.Offset == 10, "goes on at %d", r.Offset)
			}
		}
		return false, nil
	})
}

func sameKeys(a, b map[int32]bool) bool {
	for key := range a {
		if !b[key] {
			return false
		}
	}
	return len(a) == len(b)
}

func staticMember() error {
	if Protocol == "consumer" {
		return Skip("franz-go's preview of the protocol does not resume static members, with Apache Kafka neither")
	}
	name := Prefix + "-static"
	first, err := join(name, kgo.ConsumeTopics(Topic), kgo.InstanceID("i0"))
	if err != nil {
		return err
	}
	defer first.close()
	second, err := join(name, kgo.ConsumeTopics(Topic), kgo.InstanceID("i1"))
	if err != nil {
		return err
	}
	both := func() (bool, error) {
		a, b := first.poll(), second.poll()
		return a == 2 && b == 2, nil
	}
	if err := WaitFor("2 and 2", both); err != nil {
		return err
	}
	before := map[int32]bool{}
	for p := range second.owned {
		before[p] = true
	}
	second.close()
	if second, err = join(name, kgo.ConsumeTopics(Topic), kgo.InstanceID("i1")); err != nil {
		return err
	}
	defer second.close()
	if err := WaitFor("2 and 2 again", both); err != nil {
		return err
	}
	return Check(sameKeys(before, second.owned), "other partitions than before")
}

func pattern() error {
	m, err := join(Prefix+"-pattern", kgo.ConsumeRegex(), kgo.ConsumeTopics("^"+Prefix+"-to.*"))
	if err != nil {
		return err
	}
	defer m.close()
	return WaitFor("all records", func() (bool, error) { m.poll(); return len(m.records) >= len(Values()), nil })
}

func listed(name string) (bool, error) {
	groups, err := admin.ListGroups(ctx)
	_, found := groups[name]
	return found, err
}

func listGroups() error {
	found, err := listed(Group)
	if err != nil {
		return err
	}
	return Check(found, "not listed")
}

// describe gives state, members and partitions assigned, by the API for the protocol.
func describe(name string) (state string, members, partitions int, err error) {
	if Protocol == "consumer" {
		all, err := admin.DescribeConsumerGroups(ctx, name)
		if err != nil {
			return "", 0, 0, err
		}
		g := all[name]
		for _, m := range g.Members {
			partitions += len(m.Assignment[Topic])
		}
		return g.State, len(g.Members), partitions, g.Err
	}
	all, err := admin.DescribeGroups(ctx, name)
	if err != nil {
		return "", 0, 0, err
	}
	g := all[name]
	return g.State, len(g.Members), len(g.AssignedPartitions()[Topic]), g.Err
}

func describeGroup() error {
	name := Prefix + "-described"
	m, err := join(name)
	if err != nil {
		return err
	}
	if err := WaitFor("state Stable", func() (bool, error) {
		if m.poll() != 4 {
			return false, nil
		}
		state, members, partitions, err := describe(name)
		return state == "Stable" && members == 1 && partitions == 4, err
	}); err != nil {
		return err
	}
	m.close()
	return WaitFor("state Empty", func() (bool, error) {
		state, _, _, err := describe(name)
		return state == "Empty", err
	})
}

func committedAt() (int64, bool, error) {
	all, err := admin.FetchOffsets(ctx, Group)
	if err != nil {
		return 0, false, err
	}
	at, found := all.Lookup(Topic, 0)
	return at.At, found && at.At >= 0, at.Err
}

func resetOffsets() error {
	var offsets kadm.Offsets
	offsets.AddOffset(Topic, 0, 3, -1)
	answer, err := admin.CommitOffsets(ctx, Group, offsets)
	if err != nil {
		return err
	}
	if err := answer.Error(); err != nil {
		return err
	}
	at, _, err := committedAt()
	if err != nil {
		return err
	}
	return Check(at == 3, "offset %d", at)
}

func deleteOffsets() error {
	answer, err := admin.DeleteOffsets(ctx, Group, kadm.TopicsSet{Topic: {0: {}}})
	if err != nil {
		return err
	}
	if err := answer.Error(); err != nil {
		return err
	}
	_, found, err := committedAt()
	if err != nil {
		return err
	}
	return Check(!found, "still there")
}

func deleteGroup() error {
	if _, err := admin.DeleteGroup(ctx, Group); err != nil {
		return err
	}
	found, err := listed(Group)
	if err != nil {
		return err
	}
	return Check(!found, "still listed")
}

func addPartitions() error {
	answer, err := admin.UpdatePartitions(ctx, 6, Topic)
	if err != nil {
		return err
	}
	if err := answer.Error(); err != nil {
		return err
	}
	p, err := open(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.RecordDeliveryTimeout(20*time.Second))
	if err != nil {
		return err
	}
	defer p.Close()
	return p.ProduceSync(ctx, &kgo.Record{Topic: Topic, Partition: 5, Value: []byte("new")}).FirstErr()
}

func retention() (string, error) {
	all, err := admin.DescribeTopicConfigs(ctx, Topic)
	if err != nil {
		return "", err
	}
	for _, config := range all[0].Configs {
		if config.Key == "retention.ms" {
			return config.MaybeValue(), nil
		}
	}
	return "", all[0].Err
}

func alterConfig() error {
	if value, err := retention(); err != nil || value != "3600000" {
		return fmt.Errorf("as created: %q, %v", value, err)
	}
	value := "7200000"
	answer, err := admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "retention.ms", Value: &value}}, Topic)
	if err != nil {
		return err
	}
	if answer[0].Err != nil {
		return answer[0].Err
	}
	return WaitFor("the new value", func() (bool, error) { value, err := retention(); return value == "7200000", err })
}

func deleteRecords() error {
	var offsets kadm.Offsets
	offsets.AddOffset(Topic, 2, 5, -1)
	answer, err := admin.DeleteRecords(ctx, offsets)
	if err != nil {
		return err
	}
	if err := answer.Error(); err != nil {
		return err
	}
	starts, err := admin.ListStartOffsets(ctx, Topic)
	if err != nil {
		return err
	}
	at, _ := starts.Lookup(Topic, 2)
	return Check(at.Offset == 5, "earliest %d", at.Offset)
}

func deleteTopic() error {
	answer, err := admin.DeleteTopics(ctx, Topic)
	if err != nil {
		return err
	}
	if err := answer.Error(); err != nil {
		return err
	}
	return WaitFor("it to go", func() (bool, error) {
		topics, err := admin.ListTopics(ctx)
		return !topics.Has(Topic), err
	})
}

func main() {
	Client("franz-go", "github.com/twmb/franz-go")
	var err error
	if client, err = open(); err != nil {
		panic(err)
	}
	admin = kadm.NewClient(client)
	Step("connect", connect)
	Step("create topic", createTopic)
	Step("list topics", listTopics)
	for _, codec := range Codecs {
		Step("produce "+codec, func() error { return produce(codec) })
	}
	Step("assign", assign)
	Step("offsets", offsets)
	Step("group", group)
	Step("commit", commit)
	Step("static member", staticMember)
	Step("pattern", pattern)
	Step("list groups", listGroups)
	Step("describe group", describeGroup)
	Step("reset offsets", resetOffsets)
	Step("delete offsets", deleteOffsets)
	Step("delete group", deleteGroup)
	Step("add partitions", addPartitions)
	Step("alter config", alterConfig)
	Step("delete records", deleteRecords)
	Step("delete topic", deleteTopic)
}
