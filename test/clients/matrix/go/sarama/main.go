// The scenario with sarama.
package main

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/xdg-go/scram"

	. "pgtopic/matrix/scenario"
)

var (
	client sarama.Client
	admin  sarama.ClusterAdmin
)

// sarama leaves the messages of SCRAM to who uses it.
type conversation struct{ *scram.ClientConversation }

func (c *conversation) Begin(user, password, identity string) error {
	client, err := scram.SHA256.NewClient(user, password, identity)
	if err == nil {
		c.ClientConversation = client.NewConversation()
	}
	return err
}

// secure does what SECURITY and MECHANISM ask for.
func secure(c *sarama.Config) {
	if config := TLS(); config != nil {
		c.Net.TLS.Enable, c.Net.TLS.Config = true, config
	}
	if Mechanism != "" {
		c.Net.SASL.Enable, c.Net.SASL.User, c.Net.SASL.Password = true, Login, Password
		c.Net.SASL.Mechanism = sarama.SASLMechanism(Mechanism)
		c.Net.SASL.SCRAMClientGeneratorFunc = func() sarama.SCRAMClient { return &conversation{} }
	}
}

func config() *sarama.Config {
	c := sarama.NewConfig()
	c.Version = sarama.MaxVersion
	c.Metadata.RefreshFrequency = time.Second
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	c.Consumer.Offsets.AutoCommit.Enable = false
	c.Consumer.Group.Session.Timeout = 6 * time.Second
	c.Consumer.Group.Heartbeat.Interval = 500 * time.Millisecond
	c.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategyRange()}
	c.Consumer.Return.Errors = true
	c.Producer.Return.Successes = true
	secure(c)
	return c
}

// A member of a group: sarama calls Setup, ConsumeClaim and Cleanup for each generation.
type member struct {
	lock    sync.Mutex
	group   sarama.ConsumerGroup
	session sarama.ConsumerGroupSession
	records []*sarama.ConsumerMessage
	owned   []int32
	err     error
	cancel  context.CancelFunc
	done    chan struct{}
}

func (m *member) Setup(session sarama.ConsumerGroupSession) error {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.session, m.owned = session, append([]int32(nil), session.Claims()[Topic]...)
	sort.Slice(m.owned, func(i, j int) bool { return m.owned[i] < m.owned[j] })
	return nil
}

func (m *member) Cleanup(sarama.ConsumerGroupSession) error {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.owned = nil
	return nil
}

func (m *member) ConsumeClaim(_ sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for record := range claim.Messages() {
		m.lock.Lock()
		m.records = append(m.records, record)
		m.lock.Unlock()
	}
	return nil
}

func join(name, instance string) (*member, error) {
	c := config()
	c.ClientID = "described-client"
	c.Consumer.Group.InstanceId = instance
	group, err := sarama.NewConsumerGroup([]string{Bootstrap}, name, c)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	m := &member{group: group, cancel: cancel, done: make(chan struct{})}
	go func() {
		for err := range group.Errors() {
			m.lock.Lock()
			m.err = err
			m.lock.Unlock()
		}
	}()
	go func() {
		defer close(m.done)
		for ctx.Err() == nil {
			if err := group.Consume(ctx, []string{Topic}, m); err != nil {
				return
			}
		}
	}()
	return m, nil
}

func (m *member) partitions() []int32 {
	m.lock.Lock()
	defer m.lock.Unlock()
	return append([]int32(nil), m.owned...)
}

func (m *member) taken() []*sarama.ConsumerMessage {
	m.lock.Lock()
	defer m.lock.Unlock()
	return append([]*sarama.ConsumerMessage(nil), m.records...)
}

func (m *member) mark(partition int32, offset int64) {
	m.lock.Lock()
	session := m.session
	m.lock.Unlock()
	session.MarkOffset(Topic, partition, offset, "ten")
	session.Commit()
}

func (m *member) close() {
	m.cancel()
	<-m.done
	m.group.Close()
}

func values(records []*sarama.ConsumerMessage, into map[string]bool) map[string]bool {
	for _, r := range records {
		into[string(r.Value)] = true
	}
	return into
}

func connect() error {
	brokers, controller, err := admin.DescribeCluster()
	if err != nil {
		return err
	}
	return Check(len(brokers) == 1 && controller == brokers[0].ID(), "%d brokers, controller %d", len(brokers), controller)
}

func createTopic() error {
	value := "3600000"
	detail := &sarama.TopicDetail{NumPartitions: 4, ReplicationFactor: 1, ConfigEntries: map[string]*string{"retention.ms": &value}}
	if err := admin.CreateTopic(Topic, detail, false); err != nil {
		return err
	}
	err := admin.CreateTopic(Topic, detail, false)
	return Check(errors.Is(err, sarama.ErrTopicAlreadyExists), "a second time: %v", err)
}

func listTopics() error {
	topics, err := admin.ListTopics()
	if err != nil {
		return err
	}
	return Check(topics[Topic].NumPartitions == 4, "%d partitions", topics[Topic].NumPartitions)
}

func producer(codec string) (sarama.SyncProducer, error) {
	codecs := map[string]sarama.CompressionCodec{"none": sarama.CompressionNone, "gzip": sarama.CompressionGZIP,
		"snappy": sarama.CompressionSnappy, "lz4": sarama.CompressionLZ4, "zstd": sarama.CompressionZSTD}
	c := config()
	c.Producer.Compression = codecs[codec]
	c.Producer.Idempotent = true
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Producer.Partitioner = sarama.NewManualPartitioner
	c.Net.MaxOpenRequests = 1
	return sarama.NewSyncProducer([]string{Bootstrap}, c)
}

func produce(codec string) error {
	p, err := producer(codec)
	if err != nil {
		return err
	}
	defer p.Close()
	var records []*sarama.ProducerMessage
	for i := 0; i < Each; i++ {
		value := sarama.StringEncoder(fmt.Sprintf("%s %d", codec, i))
		records = append(records, &sarama.ProducerMessage{Topic: Topic, Partition: int32(i % 4), Key: value, Value: value})
	}
	return p.SendMessages(records)
}

func assign() error {
	c, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		return err
	}
	defer c.Close()
	found := map[string]bool{}
	for partition := int32(0); partition < 4; partition++ {
		end, err := client.GetOffset(Topic, partition, sarama.OffsetNewest)
		if err != nil {
			return err
		}
		pc, err := c.ConsumePartition(Topic, partition, sarama.OffsetOldest)
		if err != nil {
			return err
		}
		timeout := time.After(20 * time.Second)
		for next := int64(0); next < end; {
			select {
			case r := <-pc.Messages():
				if r.Offset != next || string(r.Key) != string(r.Value) {
					return fmt.Errorf("offset %d key %q value %q", r.Offset, r.Key, r.Value)
				}
				found[string(r.Value)] = true
				next++
			case err := <-pc.Errors():
				return err
			case <-timeout:
				return fmt.Errorf("partition %d ended at %d of %d", partition, next, end)
			}
		}
		pc.Close()
	}
	return CheckValues(found)
}

func offsets() error {
	sum := int64(0)
	for partition := int32(0); partition < 4; partition++ {
		end, err := client.GetOffset(Topic, partition, sarama.OffsetNewest)
		if err != nil {
			return err
		}
		start, err := client.GetOffset(Topic, partition, sarama.OffsetOldest)
		if err != nil || start != 0 {
			return fmt.Errorf("earliest %d, %w", start, err)
		}
		sum += end
	}
	later, err := client.GetOffset(Topic, 0, 1000)
	if err != nil {
		return err
	}
	return Check(sum == int64(len(Values())) && later == 0, "latest %d, by time %d", sum, later)
}

func group() error {
	first, err := join(Group, "")
	if err != nil {
		return err
	}
	if err := WaitFor("4 partitions of the first", func() (bool, error) { return len(first.partitions()) == 4, nil }); err != nil {
		return err
	}
	second, err := join(Group, "")
	if err != nil {
		return err
	}
	defer second.close()
	if err := WaitFor("2 and 2", func() (bool, error) {
		return len(first.partitions()) == 2 && len(second.partitions()) == 2, nil
	}); err != nil {
		return err
	}
	if err := WaitFor("all records", func() (bool, error) {
		return CheckValues(values(second.taken(), values(first.taken(), map[string]bool{}))) == nil, nil
	}); err != nil {
		return err
	}
	first.mark(first.partitions()[0], 5)
	first.close()
	return WaitFor("4 of the second", func() (bool, error) { return len(second.partitions()) == 4, nil })
}

func commit() error {
	name := Prefix + "-commit"
	before, err := join(name, "")
	if err != nil {
		return err
	}
	if err := WaitFor("records", func() (bool, error) { return len(before.taken()) >= 200, nil }); err != nil {
		return err
	}
	before.mark(1, 10)
	answer, err := admin.ListConsumerGroupOffsets(name, map[string][]int32{Topic: {1}})
	if err != nil {
		return err
	}
	if block := answer.GetBlock(Topic, 1); block == nil || block.Offset != 10 || block.Metadata != "ten" {
		return fmt.Errorf("committed %+v", block)
	}
	before.close()
	after, err := join(name, "")
	if err != nil {
		return err
	}
	defer after.close()
	return WaitFor("records of partition 1", func() (bool, error) {
		for _, r := range after.taken() {
			if r.Partition == 1 {
				return true, Check(r.Offset == 10, "goes on at %d", r.Offset)
			}
		}
		return false, nil
	})
}

func staticMember() error {
	name := Prefix + "-static"
	first, err := join(name, "i0")
	if err != nil {
		return err
	}
	defer first.close()
	second, err := join(name, "i1")
	if err != nil {
		return err
	}
	both := func() (bool, error) { return len(first.partitions()) == 2 && len(second.partitions()) == 2, nil }
	if err := WaitFor("2 and 2", both); err != nil {
		return err
	}
	before := fmt.Sprint(second.partitions())
	second.close()
	if second, err = join(name, "i1"); err != nil {
		return err
	}
	defer second.close()
	if err := WaitFor("2 and 2 again", both); err != nil {
		return err
	}
	return Check(before == fmt.Sprint(second.partitions()), "other partitions than before")
}

func listed(name string) (bool, error) {
	groups, err := admin.ListConsumerGroups()
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

func describe(name string) (*sarama.GroupDescription, error) {
	all, err := admin.DescribeConsumerGroups([]string{name})
	if err != nil {
		return nil, err
	}
	if all[0].Err != sarama.ErrNoError {
		return nil, all[0].Err
	}
	return all[0], nil
}

func describeGroup() error {
	name := Prefix + "-described"
	m, err := join(name, "")
	if err != nil {
		return err
	}
	if err := WaitFor("state Stable", func() (bool, error) {
		d, err := describe(name)
		return err == nil && d.State == "Stable" && len(m.partitions()) == 4, err
	}); err != nil {
		return err
	}
	d, err := describe(name)
	if err != nil {
		return err
	}
	for _, one := range d.Members {
		assignment, err := one.GetMemberAssignment()
		if err != nil {
			return err
		}
		if one.ClientId != "described-client" || len(assignment.Topics[Topic]) != 4 {
			return fmt.Errorf("member %+v", one)
		}
	}
	if len(d.Members) != 1 {
		return fmt.Errorf("%d members", len(d.Members))
	}
	m.close()
	return WaitFor("state Empty", func() (bool, error) {
		d, err := describe(name)
		return err == nil && d.State == "Empty", err
	})
}

func committedAt() (int64, error) {
	answer, err := admin.ListConsumerGroupOffsets(Group, map[string][]int32{Topic: {0}})
	if err != nil {
		return 0, err
	}
	block := answer.GetBlock(Topic, 0)
	if block == nil {
		return -1, nil
	}
	return block.Offset, nil
}

func resetOffsets() error {
	what := map[string]map[int32]sarama.OffsetAndMetadata{Topic: {0: {Offset: 3, LeaderEpoch: -1}}}
	if _, err := admin.AlterConsumerGroupOffsets(Group, what, nil); err != nil {
		return err
	}
	at, err := committedAt()
	if err != nil {
		return err
	}
	return Check(at == 3, "offset %d", at)
}

func deleteOffsets() error {
	if err := admin.DeleteConsumerGroupOffset(Group, Topic, 0); err != nil {
		return err
	}
	at, err := committedAt()
	if err != nil {
		return err
	}
	return Check(at == -1, "still there: %d", at)
}

func deleteGroup() error {
	if err := admin.DeleteConsumerGroup(Group); err != nil {
		return err
	}
	found, err := listed(Group)
	if err != nil {
		return err
	}
	return Check(!found, "still listed")
}

func addPartitions() error {
	if err := admin.CreatePartitions(Topic, 6, nil, false); err != nil {
		return err
	}
	p, err := producer("none")
	if err != nil {
		return err
	}
	defer p.Close()
	_, offset, err := p.SendMessage(&sarama.ProducerMessage{Topic: Topic, Partition: 5, Value: sarama.StringEncoder("new")})
	if err != nil {
		return err
	}
	return Check(offset == 0, "offset %d", offset)
}

func retention() (string, error) {
	entries, err := admin.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: Topic, ConfigNames: []string{"retention.ms"}})
	if err != nil || len(entries) != 1 {
		return "", fmt.Errorf("%d entries, %w", len(entries), err)
	}
	return entries[0].Value, nil
}

func alterConfig() error {
	if value, err := retention(); err != nil || value != "3600000" {
		return fmt.Errorf("as created: %q, %w", value, err)
	}
	value := "7200000"
	entries := map[string]sarama.IncrementalAlterConfigsEntry{"retention.ms": {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &value}}
	if err := admin.IncrementalAlterConfig(sarama.TopicResource, Topic, entries, false); err != nil {
		return err
	}
	return WaitFor("the new value", func() (bool, error) { value, err := retention(); return value == "7200000", err })
}

func deleteRecords() error {
	if err := admin.DeleteRecords(Topic, map[int32]int64{2: 5}); err != nil {
		return err
	}
	at, err := client.GetOffset(Topic, 2, sarama.OffsetOldest)
	if err != nil {
		return err
	}
	return Check(at == 5, "earliest %d", at)
}

func deleteTopic() error {
	if err := admin.DeleteTopic(Topic); err != nil {
		return err
	}
	return WaitFor("it to go", func() (bool, error) {
		topics, err := admin.ListTopics()
		_, found := topics[Topic]
		return !found, err
	})
}

func main() {
	Client("sarama", "github.com/IBM/sarama")
	var err error
	if client, err = sarama.NewClient([]string{Bootstrap}, config()); err != nil {
		panic(err)
	}
	if admin, err = sarama.NewClusterAdminFromClient(client); err != nil {
		panic(err)
	}
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
	Step("pattern", func() error { return Skip("no subscription by pattern") })
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
