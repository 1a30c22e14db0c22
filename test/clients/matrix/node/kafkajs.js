// The scenario with kafkajs.  Codecs that it does not bring along are added the way its documentation says.
'use strict'

const fs = require('fs')
const { Kafka, logLevel, CompressionTypes, CompressionCodecs, ConfigResourceTypes, AssignerProtocol } = require('kafkajs')
const snappy = require('kafkajs-snappy')
const lz4 = require('lz4js')
const xxh32 = require('lz4js/xxh32.js')
const { ZstdCodec } = require('zstd-codec')

const prefix = process.env.PREFIX || 'm'
const topic = prefix + '-topic'
const group = prefix + '-group'
const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd']
const types = { none: CompressionTypes.None, gzip: CompressionTypes.GZIP, snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4, zstd: CompressionTypes.ZSTD }
const each = 100

// What SECURITY and MECHANISM ask for.
const file = name => process.env[name] ? fs.readFileSync(process.env[name]) : undefined
const security = {}
if ((process.env.SECURITY || '').endsWith('SSL')) security.ssl = { ca: [file('CA')], cert: file('CERT'), key: file('KEY') }
if (process.env.MECHANISM) {
  security.sasl = { mechanism: process.env.MECHANISM.toLowerCase(), username: process.env.LOGIN, password: process.env.PASSWORD }
}

const kafka = new Kafka({ clientId: 'described-client', brokers: [process.env.BOOTSTRAP], logLevel: logLevel.NOTHING,
  retry: { retries: 3 }, ...security })
const admin = kafka.admin()

class Skip extends Error {}

const say = what => console.log(JSON.stringify(what))
const sleep = ms => new Promise(done => setTimeout(done, ms))
const values = () => new Set(codecs.flatMap(codec => [...Array(each).keys()].map(i => `${codec} ${i}`)))
const same = (a, b) => a.size === b.size && [...a].every(x => b.has(x))

const check = (condition, what) => {
  if (!condition) throw new Error(what)
}

async function waitFor (what, condition) {
  const deadline = Date.now() + 40000
  while (!(await condition())) {
    check(Date.now() < deadline, 'waited in vain for ' + what)
    await sleep(20)
  }
}

async function step (name, body) {
  const started = Date.now()
  try {
    await body()
    say({ step: name, ok: true, ms: Date.now() - started })
  } catch (e) {
    if (e instanceof Skip) say({ step: name, skip: e.message })
    else say({ step: name, ok: false, ms: Date.now() - started, note: String(e).slice(0, 300) })
  }
}

async function registerCodecs () {
  CompressionCodecs[CompressionTypes.Snappy] = snappy
  CompressionCodecs[CompressionTypes.LZ4] = () => ({
    compress: async encoder => {
      // Kafka wants blocks to be called independent; a single one is.
      const frame = lz4.compress(encoder.buffer)
      frame[4] |= 0x20
      frame[6] = (xxh32.hash(0, frame, 4, 2) >> 8) & 0xff
      return Buffer.from(frame)
    },
    decompress: async buffer => Buffer.from(lz4.decompress(buffer))
  })
  const zstd = await new Promise(done => ZstdCodec.run(z => done(new z.Simple())))
  CompressionCodecs[CompressionTypes.ZSTD] = () => ({
    compress: async encoder => Buffer.from(zstd.compress(encoder.buffer)),
    decompress: async buffer => Buffer.from(zstd.decompress(buffer))
  })
}

// A member of a group, with what it has consumed and what it owns.
async function join (groupId, what = topic) {
  const consumer = kafka.consumer({ groupId, sessionTimeout: 6000, heartbeatInterval: 500, rebalanceTimeout: 5000,
    maxWaitTimeInMs: 200, metadataMaxAge: 1000 })
  const member = { consumer, records: [], owned: [], close: () => consumer.disconnect() }
  consumer.on(consumer.events.GROUP_JOIN, e => { member.owned = (e.payload.memberAssignment[topic] || []).slice().sort() })
  consumer.on(consumer.events.REBALANCING, () => { member.owned = [] })
  await consumer.connect()
  await consumer.subscribe({ topics: [what], fromBeginning: true })
  await consumer.run({ autoCommit: false, eachMessage: async ({ partition, message }) => {
    member.records.push({ partition, offset: Number(message.offset), value: String(message.value), key: String(message.key) })
  } })
  return member
}

const found = (...members) => new Set(members.flatMap(m => m.records.map(r => r.value)))

async function connect () {
  await admin.connect()
  const cluster = await admin.describeCluster()
  check(cluster.brokers.length === 1 && cluster.clusterId, 'one broker')
}

async function createTopic () {
  const spec = { topics: [{ topic, numPartitions: 4, replicationFactor: 1, configEntries: [{ name: 'retention.ms', value: '3600000' }] }] }
  check(await admin.createTopics(spec), 'created')
  check(!(await admin.createTopics(spec)), 'a second time it was not refused')
}

async function listTopics () {
  check((await admin.listTopics()).includes(topic), 'not listed')
  check((await admin.fetchTopicMetadata({ topics: [topic] })).topics[0].partitions.length === 4, 'four partitions')
}

async function produce (codec) {
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
  await producer.connect()
  const messages = [...Array(each).keys()].map(i => (
    { partition: i % 4, key: `${codec} ${i}`, value: `${codec} ${i}`, headers: { n: '1' } }))
  await producer.send({ topic, acks: -1, compression: types[codec], messages })
  await producer.disconnect()
}

// kafkajs has no assignment by hand: a group of its own, and seek.
async function assign () {
  const member = await join(prefix + '-assign')
  await waitFor('all records', () => member.records.length >= values().size)
  check(same(found(member), values()), 'other records than produced')
  check(member.records.every(r => r.key === r.value), 'keys')
  member.records.length = 0
  member.consumer.seek({ topic, partition: 0, offset: '7' })
  await waitFor('records after seek', () => member.records.length > 0)
  check(member.records[0].partition === 0 && member.records[0].offset === 7, 'seek')
  await member.close()
}

async function offsets () {
  const all = await admin.fetchTopicOffsets(topic)
  check(all.reduce((sum, p) => sum + Number(p.high), 0) === values().size && all.every(p => p.low === '0'), 'latest, earliest')
  const byTime = await admin.fetchTopicOffsetsByTimestamp(topic, 1000)
  check(byTime.find(p => p.partition === 0).offset === '0', 'by time')
}

async function groupOfTwo () {
  const first = await join(group)
  await waitFor('4 partitions of the first', () => first.owned.length === 4)
  const second = await join(group)
  await waitFor('2 and 2', () => first.owned.length === 2 && second.owned.length === 2)
  await waitFor('all records', () => same(found(first, second), values()))
  await first.consumer.commitOffsets([{ topic, partition: first.owned[0], offset: '100' }])
  await first.close()
  await waitFor('4 of the second', () => second.owned.length === 4)
  await second.close()
}

async function commit () {
  const before = await join(prefix + '-commit')
  await waitFor('records', () => before.records.length >= 200)
  await before.consumer.commitOffsets([{ topic, partition: 1, offset: '10', metadata: 'ten' }])
  const committed = await admin.fetchOffsets({ groupId: prefix + '-commit', topics: [topic] })
  const one = committed[0].partitions.find(p => p.partition === 1)
  check(one.offset === '10' && one.metadata === 'ten', 'committed ' + JSON.stringify(one))
  await before.close()
  const after = await join(prefix + '-commit')
  await waitFor('records of partition 1', () => after.records.some(r => r.partition === 1))
  check(after.records.find(r => r.partition === 1).offset === 10, 'goes on elsewhere')
  await after.close()
}

async function pattern () {
  const member = await join(prefix + '-pattern', new RegExp('^' + prefix + '-to.*'))
  await waitFor('all records', () => member.records.length >= values().size)
  await member.close()
}

const listed = async name => (await admin.listGroups()).groups.some(g => g.groupId === name)

async function describeGroup () {
  const name = prefix + '-described'
  const describe = async () => (await admin.describeGroups([name])).groups[0]
  const member = await join(name)
  await waitFor('state Stable', async () => (await describe()).state === 'Stable')
  const it = await describe()
  check(it.members.length === 1 && it.members[0].clientId === 'described-client', 'members')
  check(AssignerProtocol.MemberAssignment.decode(it.members[0].memberAssignment).assignment[topic].length === 4, 'its assignment')
  await member.close()
  await waitFor('state Empty', async () => (await describe()).state === 'Empty')
}

async function resetOffsets () {
  await admin.setOffsets({ groupId: group, topic, partitions: [{ partition: 0, offset: '3' }] })
  const now = await admin.fetchOffsets({ groupId: group, topics: [topic] })
  check(now[0].partitions.find(p => p.partition === 0).offset === '3', 'offset')
}

async function deleteGroup () {
  await admin.deleteGroups([group])
  check(!(await listed(group)), 'still listed')
}

async function addPartitions () {
  await admin.createPartitions({ topicPartitions: [{ topic, count: 6 }] })
  const producer = kafka.producer()
  await producer.connect()
  await producer.send({ topic, messages: [{ partition: 5, value: 'new' }] })
  await producer.disconnect()
}

async function retention () {
  const resource = { type: ConfigResourceTypes.TOPIC, name: topic, configNames: ['retention.ms'] }
  return (await admin.describeConfigs({ includeSynonyms: true, resources: [resource] })).resources[0].configEntries[0].configValue
}

async function alterConfig () {
  check(await retention() === '3600000', 'as created')
  await admin.alterConfigs({ validateOnly: false, resources: [
    { type: ConfigResourceTypes.TOPIC, name: topic, configEntries: [{ name: 'retention.ms', value: '7200000' }] }] })
  await waitFor('the new value', async () => await retention() === '7200000')
}

async function deleteRecords () {
  await admin.deleteTopicRecords({ topic, partitions: [{ partition: 2, offset: '5' }] })
  check((await admin.fetchTopicOffsets(topic)).find(p => p.partition === 2).low === '5', 'earliest')
}

async function deleteTopic () {
  await admin.deleteTopics({ topics: [topic] })
  await waitFor('it to go', async () => !(await admin.listTopics()).includes(topic))
}

async function main () {
  await registerCodecs()
  say({ client: 'kafkajs ' + require('kafkajs/package.json').version })
  await step('connect', connect)
  await step('create topic', createTopic)
  await step('list topics', listTopics)
  for (const codec of codecs) await step('produce ' + codec, () => produce(codec))
  await step('assign', assign)
  await step('offsets', offsets)
  await step('group', groupOfTwo)
  await step('commit', commit)
  await step('static member', () => { throw new Skip('no static membership') })
  await step('pattern', pattern)
  await step('list groups', async () => check(await listed(group), 'not listed'))
  await step('describe group', describeGroup)
  await step('reset offsets', resetOffsets)
  await step('delete offsets', () => { throw new Skip('no such call') })
  await step('delete group', deleteGroup)
  await step('add partitions', addPartitions)
  await step('alter config', alterConfig)
  await step('delete records', deleteRecords)
  await step('delete topic', deleteTopic)
  await admin.disconnect()
  process.exit(0)
}

main()
