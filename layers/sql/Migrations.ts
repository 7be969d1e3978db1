/**
 * The database's tables, one migration after the other. A migration that has been released is never edited again.
 *
 * @since 0.1.0
 */
import * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"

const initial = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient

  // ids are AUTOINCREMENT everywhere: one that was given out never comes back, or an old client would reach somebody else's VM
  yield* sql`create table hosts (
    id integer primary key autoincrement,
    host text not null,
    port integer not null,
    config text not null,
    facts text,
    host_uuid text,
    active integer not null default 1,
    unique (host, port)
  ) strict`
  yield* sql`create index hosts_uuid on hosts (host_uuid)`

  yield* sql`create table images (
    id integer primary key autoincrement,
    source text not null unique,
    config text not null,
    content text,
    position integer not null,
    offered integer not null default 1
  ) strict`
  // the original program counts images from 100
  yield* sql`insert into sqlite_sequence (name, seq) values ('images', 99)`

  yield* sql`create table instance_types (
    tid integer primary key,
    cpu integer not null,
    ram integer not null,
    disk integer not null,
    position integer not null,
    offered integer not null default 1
  ) strict`

  yield* sql`create table vms (
    id integer primary key autoincrement,
    uuid text not null unique,
    name text not null,
    tid integer not null references instance_types (tid),
    image_id integer not null references images (id),
    host_id integer not null references hosts (id),
    cpu integer not null,
    ram integer not null,
    disk integer not null,
    mac text not null,
    state text not null,
    created_at integer not null,
    updated_at integer not null
  ) strict`
  yield* sql`create index vms_host on vms (host_id)`
  // an address may be given again once its VM is gone: there are only 2^24 of them
  yield* sql`create unique index vms_mac on vms (mac) where state not in ('destroyed', 'failed')`
  // what users see, without walking through everything that ever was
  yield* sql`create index vms_live on vms (id) where state not in ('destroyed', 'failed')`
  yield* sql`create index vms_live_tid on vms (tid) where state not in ('destroyed', 'failed')`

  yield* sql`create table reservations (
    vm_id integer primary key references vms (id),
    host_id integer not null references hosts (id),
    cpu integer not null check (cpu >= 0),
    ram integer not null check (ram >= 0),
    disk integer not null check (disk >= 0)
  ) strict`
  // covers the sums by host
  yield* sql`create index reservations_host on reservations (host_id, cpu, ram, disk)`

  // owner, lease_until and epoch are for several controllers on one database; a single one leaves them alone
  yield* sql`create table operations (
    seq integer primary key autoincrement,
    id text not null unique,
    kind text not null,
    vm_id integer not null references vms (id),
    state text not null,
    error text,
    owner text,
    lease_until integer,
    epoch integer not null default 0,
    created_at integer not null,
    finished_at integer
  ) strict`
  yield* sql`create unique index operations_unfinished on operations (vm_id) where state not in ('done', 'failed')`
  yield* sql`create index operations_vm on operations (vm_id)`

  yield* sql`create table operation_steps (
    operation_id text not null references operations (id),
    phase text not null,
    name text not null,
    ordinal integer not null,
    state text not null,
    tries integer not null default 1,
    error text,
    started_at integer not null,
    finished_at integer,
    primary key (operation_id, phase, name)
  ) strict, without rowid`
})

const volumes = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient

  yield* sql`create table pools (
    name text primary key,
    driver text not null,
    capacity real not null,
    used real not null,
    available real not null,
    overcommit real not null
  ) strict, without rowid`

  // what a VM's root disk is kept with; without a pool it takes its host's space
  yield* sql`alter table vms add column driver text not null default 'dir'`
  yield* sql`alter table vms add column pool text`
  yield* sql`create index vms_pool on vms (pool, disk) where pool is not null and state not in ('destroyed', 'failed')`

  yield* sql`create table volumes (
    id integer primary key autoincrement,
    name text not null,
    size integer not null check (size > 0),
    driver text not null,
    pool text,
    host_id integer references hosts (id),
    state text not null,
    vm_id integer references vms (id),
    target text,
    source_id integer references snapshots (id),
    pristine integer not null,
    release_asked integer not null default 0,
    purge_at integer,
    promised integer not null check (promised >= 0),
    created_at integer not null,
    updated_at integer not null,
    check ((vm_id is null) = (target is null)),
    check ((pool is null) = (host_id is not null))
  ) strict`
  yield* sql`create unique index volumes_target on volumes (vm_id, target) where vm_id is not null`
  yield* sql`create index volumes_source on volumes (source_id) where source_id is not null`
  yield* sql`create index volumes_purge on volumes (purge_at) where state = 'deleted'`
  yield* sql`create index volumes_live on volumes (id) where state not in ('purged', 'failed')`
  // cover the sums
  yield* sql`create index volumes_host on volumes (host_id, promised)
    where host_id is not null and state not in ('purged', 'failed')`
  yield* sql`create index volumes_pool on volumes (pool, promised)
    where pool is not null and state not in ('purged', 'failed')`

  yield* sql`create table snapshots (
    id integer primary key autoincrement,
    volume_id integer not null references volumes (id),
    name text not null,
    size integer not null,
    state text not null,
    created_at integer not null
  ) strict`
  yield* sql`create index snapshots_volume on snapshots (volume_id)`

  // Operations are now of volumes too. SQLite cannot take a NOT NULL away, so the two tables are made anew.
  yield* sql`create table operations_next (
    seq integer primary key autoincrement,
    id text not null unique,
    kind text not null,
    vm_id integer references vms (id),
    volume_id integer references volumes (id),
    snapshot_id integer references snapshots (id),
    detail text not null default '{}',
    state text not null,
    error text,
    owner text,
    lease_until integer,
    epoch integer not null default 0,
    created_at integer not null,
    finished_at integer
  ) strict`
  yield* sql`insert into operations_next
    (seq, id, kind, vm_id, state, error, owner, lease_until, epoch, created_at, finished_at)
    select seq, id, kind, vm_id, state, error, owner, lease_until, epoch, created_at, finished_at from operations`
  yield* sql`create table operation_steps_next (
    operation_id text not null references operations_next (id),
    phase text not null,
    name text not null,
    ordinal integer not null,
    state text not null,
    tries integer not null default 1,
    error text,
    started_at integer not null,
    finished_at integer,
    primary key (operation_id, phase, name)
  ) strict, without rowid`
  yield* sql`insert into operation_steps_next select * from operation_steps`
  yield* sql`drop table operation_steps`
  yield* sql`drop table operations`
  yield* sql`alter table operations_next rename to operations`
  yield* sql`alter table operation_steps_next rename to operation_steps`

  // one at a time on a VM itself, and on a volume; several volumes of one VM may be worked on at the same time
  yield* sql`create unique index operations_unfinished on operations (vm_id)
    where state not in ('done', 'failed') and volume_id is null`
  yield* sql`create unique index operations_unfinished_volume on operations (volume_id)
    where state not in ('done', 'failed') and volume_id is not null`
  yield* sql`create index operations_unfinished_vm on operations (vm_id)
    where state not in ('done', 'failed') and volume_id is not null`
  yield* sql`create index operations_vm on operations (vm_id)`
})

const observations = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient

  yield* sql`alter table hosts add column maintenance integer not null default 0`
  yield* sql`alter table vms add column on_crash text not null default 'leave'`
  // JSON: what the last operation on the domain made it
  yield* sql`alter table vms add column applied text`
  yield* sql`update vms set applied = json_object('name', name, 'cpu', cpu, 'ram', ram)
    where state in ('running', 'destroying')`
  yield* sql`alter table operations add column cancel_asked integer not null default 0`
  yield* sql`create index operations_volume on operations (volume_id) where volume_id is not null`
  // at start, oldest first, without walking through everything that ever was
  yield* sql`create index operations_unfinished_seq on operations (seq) where state not in ('done', 'failed')`

  // what was last seen of a VM on its host
  yield* sql`create table vm_seen (
    vm_id integer primary key references vms (id),
    power text not null,
    reason text,
    since integer not null
  ) strict`
  yield* sql`create table drift (
    vm_id integer not null references vms (id),
    field text not null,
    kind text not null,
    wanted text,
    applied text,
    seen text,
    since integer not null,
    primary key (vm_id, field)
  ) strict, without rowid`

  // a key may come again long after; what it led to is found by it
  yield* sql`create table request_keys (
    key text primary key,
    fingerprint text not null,
    operation_id text not null references operations (id),
    created_at integer not null
  ) strict, without rowid`
  yield* sql`create index request_keys_age on request_keys (created_at)`
})

const events = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient

  // no index but the key: it is written all the time, and read in order
  yield* sql`create table events (
    id integer primary key autoincrement,
    time integer not null default (cast(round(unixepoch('subsec') * 1000) as integer)),
    type text not null,
    vm_id integer,
    volume_id integer,
    snapshot_id integer,
    host_id integer,
    operation_id text,
    data text not null
  ) strict`

  /** `about`: columns of the event, and what they are; `data`: keys and values of its JSON. */
  const told = (on: string, name: string, type: string, about: Readonly<Record<string, string>>, data: string) =>
    sql.unsafe(`create trigger event_${name} after ${on} begin
      insert into events (type, ${Object.keys(about).join(", ")}, data)
      values ('${type}', ${Object.values(about).join(", ")}, json_object(${data}));
    end`)

  /** An update that changes one of the columns. */
  const changing = (table: string, ...columns: ReadonlyArray<string>) =>
    `update of ${columns.join(", ")} on ${table}
      when ${columns.map((column) => `old.${column} is not new.${column}`).join(" or ")}`

  const vm = [
    { vm_id: "new.id", host_id: "new.host_id" },
    "'name', new.name, 'state', new.state, 'hostId', new.host_id"
  ] as const
  yield* told("insert on vms", "vm_created", "vm.created", ...vm)
  yield* told(changing("vms", "name", "state", "host_id"), "vm_changed", "vm.changed", ...vm)

  const hostOf = (row: string) => ({
    vm_id: `${row}.vm_id`,
    host_id: `(select host_id from vms where id = ${row}.vm_id)`
  })
  const seen = [hostOf("new"), "'power', new.power, 'reason', new.reason"] as const
  yield* told("insert on vm_seen", "vm_first_seen", "vm.seen", ...seen)
  yield* told(changing("vm_seen", "power", "reason"), "vm_seen", "vm.seen", ...seen)

  const count = (row: string) => `'count', (select count(*) from drift where vm_id = ${row}.vm_id)`
  yield* told("insert on drift", "vm_drift", "vm.drift", hostOf("new"), count("new"))
  // what is forgotten with a VM that is gone is nothing anybody mended
  const mended = `delete on drift
      when (select state from vms where id = old.vm_id) not in ('destroyed', 'failed')`
  yield* told(mended, "vm_drift_mended", "vm.drift", hostOf("old"), count("old"))

  const volume = [
    { volume_id: "new.id", vm_id: "new.vm_id", host_id: "new.host_id" },
    "'name', new.name, 'size', new.size, 'state', new.state"
  ] as const
  yield* told("insert on volumes", "volume_created", "volume.created", ...volume)
  yield* told(
    changing("volumes", "name", "size", "state", "vm_id", "host_id"),
    "volume_changed",
    "volume.changed",
    ...volume
  )

  const snapshot = [
    { volume_id: "new.volume_id", snapshot_id: "new.id" },
    "'name', new.name, 'size', new.size, 'state', new.state"
  ] as const
  yield* told("insert on snapshots", "snapshot_created", "snapshot.created", ...snapshot)
  yield* told(changing("snapshots", "name", "size", "state"), "snapshot_changed", "snapshot.changed", ...snapshot)

  const flag = (column: string) => `json(iif(${column}, 'true', 'false'))`
  const operation = [
    { operation_id: "new.id", vm_id: "new.vm_id", volume_id: "new.volume_id", snapshot_id: "new.snapshot_id" },
    `'kind', new.kind, 'state', new.state, 'error', new.error, 'cancelAsked', ${flag("new.cancel_asked")}`
  ] as const
  yield* told("insert on operations", "operation_created", "operation.created", ...operation)
  yield* told(
    changing("operations", "state", "error", "cancel_asked"),
    "operation_changed",
    "operation.changed",
    ...operation
  )

  yield* told(
    changing("hosts", "maintenance"),
    "host_maintenance",
    "host.changed",
    { host_id: "new.id" },
    `'maintenance', ${flag("new.maintenance")}`
  )
})

const identity = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient

  // password_hash: scrypt, with its parameters and salt; null: only tokens open the door
  yield* sql`create table users (
    name text primary key,
    role text not null,
    password_hash text,
    created_at integer not null
  ) strict, without rowid`

  // the secrets are random, so their plain SHA-256 tells nobody what they are
  yield* sql`create table tokens (
    id integer primary key autoincrement,
    hash text not null unique,
    name text not null,
    owner text not null references users (name) on delete cascade,
    role text not null,
    created_at integer not null,
    expires_at integer,
    last_used_at integer
  ) strict`
  yield* sql`create index tokens_owner on tokens (owner)`

  yield* sql`create table sessions (
    hash text primary key,
    user text not null references users (name) on delete cascade,
    created_at integer not null,
    expires_at integer not null,
    last_used_at integer not null
  ) strict, without rowid`
  yield* sql`create index sessions_user on sessions (user)`
  yield* sql`create index sessions_expiry on sessions (expires_at)`

  // of users and tokens that may be gone by now
  yield* sql`create table audit (
    id integer primary key autoincrement,
    time integer not null,
    user text,
    via text,
    token_id integer,
    address text not null,
    method text not null,
    path text not null,
    status integer not null,
    failed text
  ) strict`
})

const pages = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient

  // lists of VMs in their orders, page by page; by id there is vms_live
  yield* sql`create index vms_live_name on vms (name, id) where state not in ('destroyed', 'failed')`
  yield* sql`create index vms_live_created on vms (created_at, id) where state not in ('destroyed', 'failed')`

  yield* sql`create index operations_kind on operations (kind, seq)`
  yield* sql`create index operations_failed on operations (seq) where state = 'failed'`
  // the operation that does the same anew on another host
  yield* sql`alter table operations add column replaced_by text`
})

const webhooks = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient

  // types: JSON; null: all of them. secret: what deliveries are signed with, so it cannot be kept as a hash. previous_secret signs beside it
  // until previous_until. cursor: the last event that arrived or was of another type. failing_since: the first failure after the last success
  yield* sql`create table webhooks (
    id integer primary key autoincrement,
    url text not null,
    types text,
    secret text not null,
    previous_secret text,
    previous_until integer,
    cursor integer not null,
    created_at integer not null,
    last_success_at integer,
    last_failure_at integer,
    last_failure text,
    failing_since integer
  ) strict`
})

/** One event for all fields of a VM, written with them, in place of one for each. */
const driftEvents = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`drop trigger event_vm_drift`
  yield* sql`drop trigger event_vm_drift_mended`
})

const nics = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient

  // JSON, in the order of their numbers. A VM of before has the one that every VM had
  yield* sql`alter table vms add column nics text not null default '[]'`
  yield* sql`update vms set nics = json_array(json_object(
    'id', 1, 'mac', mac, 'network', null, 'vlan', null, 'model', 'virtio', 'link', 'up', 'state', 'attached'
  ))`
  // the number that the VM's next NIC gets: numbers are never given twice
  yield* sql`alter table vms add column next_nic integer not null default 2`

  // those of VMs that exist: no two NICs of the fleet have the same
  yield* sql`create table nic_macs (
    mac text primary key,
    vm_id integer not null references vms (id)
  ) strict, without rowid`
  yield* sql`create index nic_macs_vm on nic_macs (vm_id)`
  yield* sql`insert or ignore into nic_macs (mac, vm_id)
    select mac, id from vms where state not in ('destroyed', 'failed') order by id`
  yield* sql`drop index vms_mac`
  yield* sql`alter table vms drop column mac`

  yield* sql.unsafe(`create trigger event_vm_nics after update of nics on vms when old.nics is not new.nics begin
    insert into events (type, vm_id, host_id, data)
    values ('vm.changed', new.id, new.host_id, json_object('name', new.name, 'state', new.state, 'hostId', new.host_id));
  end`)
})

const power = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  // how it came about, in words
  yield* sql`alter table operations add column outcome text`
  // what people say of a VM; tags: a JSON list, labels: a JSON object
  yield* sql`alter table vms add column protected integer not null default 0`
  yield* sql`alter table vms add column autostart integer not null default 0`
  yield* sql`alter table vms add column description text not null default ''`
  yield* sql`alter table vms add column tags text not null default '[]'`
  yield* sql`alter table vms add column labels text not null default '{}'`
})

/** Of a VM that was given something, or to which something was changed. What is kept here may be secret, and goes with the VM. */
const cloudInits = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`create table cloud_inits (
    vm_id integer primary key references vms (id),
    user_data text,
    ssh_keys text not null,
    hostname text,
    network_config text,
    revision integer not null,
    instance integer not null
  ) strict`
})

const madeTypes = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`alter table instance_types add column origin text not null default 'file'`
  yield* sql`alter table instance_types add column retired integer not null default 0`
})

const madeImages = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`alter table images add column origin text not null default 'file'`
  yield* sql`alter table images add column state text not null default 'available'`
  yield* sql`alter table images add column reason text`
  // JSON: what was said of it before its bytes were there
  yield* sql`alter table images add column wanted text not null default '{}'`
  yield* sql`alter table images add column created_at integer not null default 0`
  yield* sql`create index vms_live_image on vms (image_id) where state not in ('destroyed', 'failed')`
})

/** Whose a host's settings are: the machine file's, or the database's alone. */
const hostOrigins = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`alter table hosts add column origin text not null default 'file'`
})

/** Of what the API adds: what the machine file and the image file say is known to whoever starts the controller with them. */
const madeEvents = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`alter table events add column image_id integer`

  const told = (on: string, name: string, type: string, about: string, data: string) =>
    sql.unsafe(`create trigger event_${name} after ${on} begin
      insert into events (type, ${about}, data) values ('${type}', new.id, json_object(${data}));
    end`)

  const image = ["image_id", "'name', new.config ->> '$.name', 'state', new.state, 'reason', new.reason"] as const
  yield* told("insert on images when new.origin <> 'file'", "image_created", "image.created", ...image)
  yield* told(
    "update of state, reason on images when old.state is not new.state or old.reason is not new.reason",
    "image_changed",
    "image.changed",
    ...image
  )

  // as people know it: an address of IPv6 is bracketed, and the usual port is left out
  const address = "new.config ->> '$.address.host'"
  const host = [
    "host_id",
    `'name', (new.config ->> '$.address.user') || '@' ||
      iif(instr(${address}, ':') > 0, '[' || (${address}) || ']', ${address}) || iif(new.port = 22, '', ':' || new.port)`
  ] as const
  const made = "new.origin = 'api'"
  yield* told(`insert on hosts when ${made} and new.active = 1`, "host_added", "host.added", ...host)
  // one that was removed, and is back under its old id
  yield* told(
    `update of active on hosts when ${made} and old.active = 0 and new.active = 1`,
    "host_added_again",
    "host.added",
    ...host
  )
  yield* told(
    `update of active on hosts when ${made} and old.active = 1 and new.active = 0`,
    "host_removed",
    "host.removed",
    ...host
  )
  yield* told(
    `update of config on hosts when ${made} and old.active = 1 and new.active = 1 and old.config is not new.config`,
    "host_settings",
    "host.changed",
    ...host
  )
})

/**
 * Where VMs are to be. What a VM is counted in for rules about groups counts where it has its reservation: names, one a line. Hosts that have
 * none of them are not looked at for it.
 */
const placements = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  // JSON; null: nothing is said
  yield* sql`alter table vms add column placement text`
  yield* sql`alter table reservations add column groups text`
  yield* sql`create index reservations_groups on reservations (host_id, groups) where groups is not null`
})

/** Why a VM was placed where it was: JSON, and in milliseconds since 1970 when that was. */
const explanations = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`create table explanations (
    vm_id integer primary key references vms (id),
    at integer not null,
    explanation text not null
  ) strict`
})

/** Whoever follows a VM is told of all that is wanted of it, and not of its name, its state and its host alone. */
const settingsEvents = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const columns = "name state host_id tid cpu ram on_crash protected autostart description tags labels placement".split(
    " "
  )
  yield* sql`drop trigger event_vm_changed`
  yield* sql.unsafe(`create trigger event_vm_changed after update of ${columns.join(", ")} on vms
    when ${columns.map((column) => `old.${column} is not new.${column}`).join(" or ")} begin
    insert into events (type, vm_id, host_id, data)
    values ('vm.changed', new.id, new.host_id, json_object('name', new.name, 'state', new.state, 'hostId', new.host_id));
  end`)
})

/**
 * Which operation is the retry of which, once each. Of creations that have failed it is not known any more whether their guest was to be told
 * something: it is taken to be so.
 */
const retries = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`alter table operations add column retry_of text`
  yield* sql`alter table operations add column retried_by text`
  yield* sql`create unique index operations_retry_of on operations (retry_of) where retry_of is not null`
  yield* sql`update operations set detail = json_set(detail, '$.cloudInit', json('true'))
    where kind = 'CreateVm' and state <> 'done'
      and (state = 'failed' or vm_id in (select vm_id from cloud_inits))`
  yield* sql`create trigger event_operation_retried after update of retried_by on operations
    when old.retried_by is not new.retried_by begin
    insert into events (type, operation_id, vm_id, volume_id, snapshot_id, data)
    values ('operation.changed', new.id, new.vm_id, new.volume_id, new.snapshot_id,
      json_object('kind', new.kind, 'state', new.state, 'error', new.error,
        'cancelAsked', json(iif(new.cancel_asked, 'true', 'false')), 'retriedBy', new.retried_by));
  end`
})

/** Users that can be shut out without losing anything of theirs. */
const disabledUsers = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`alter table users add column disabled integer not null default 0`
})

/**
 * How the last deliveries of each webhook went. message: what its header `webhook-id` says, the same at each try. at, next_try_at: in milliseconds
 * since 1970. cursor: of the event; null: it is about none.
 */
const deliveries = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`create table webhook_deliveries (
    id integer primary key autoincrement,
    webhook_id integer not null references webhooks (id) on delete cascade,
    message text not null,
    type text not null,
    cursor integer,
    try integer not null,
    at integer not null,
    milliseconds integer not null,
    status integer,
    reason text,
    next_try_at integer
  ) strict`
  yield* sql`create index webhook_deliveries_webhook on webhook_deliveries (webhook_id, id)`
})

/**
 * Keys of requests that make something without an operation: thing: what kind of thing it is, and thing_id: which. SQLite cannot take a NOT NULL away, so the
 * table is made anew.
 */
const keyedThings = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`create table request_keys_next (
    key text primary key,
    fingerprint text not null,
    operation_id text references operations (id),
    thing text,
    thing_id text,
    created_at integer not null,
    check ((operation_id is null) <> (thing is null) and (thing is null) = (thing_id is null))
  ) strict, without rowid`
  yield* sql`insert into request_keys_next (key, fingerprint, operation_id, created_at)
    select key, fingerprint, operation_id, created_at from request_keys`
  yield* sql`drop table request_keys`
  yield* sql`alter table request_keys_next rename to request_keys`
  yield* sql`create index request_keys_age on request_keys (created_at)`
})

/**
 * Who had VMs and volumes made, by name, and how much users may have: JSON, null: as much as there is. What is there already is nobody's. Sums are made
 * of the indexes alone.
 */
const quotas = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`alter table users add column quota text`
  yield* sql`alter table vms add column owner text`
  yield* sql`alter table volumes add column owner text`
  yield* sql`alter table reservations add column owner text`
  yield* sql`create index reservations_owner on reservations (owner, cpu, ram) where owner is not null`
  yield* sql`create index volumes_owner on volumes (owner, size)
    where owner is not null and state not in ('purged', 'failed')`
})

/**
 * Keys are their asker's; `*`: it was not kept whose it is. Of what many were asked for with one key there was a key for each, `key/number`: now there is the
 * number, and 0 for all of it, which is the same request as long as it says the same.
 */
const askers = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`create table request_keys_next (
    asker text not null,
    key text not null,
    number integer not null,
    fingerprint text not null,
    operation_id text references operations (id),
    thing text,
    thing_id text,
    created_at integer not null,
    primary key (asker, key, number),
    check ((operation_id is null) <> (thing is null) and (thing is null) = (thing_id is null))
  ) strict, without rowid`
  // what makes a thing says who asks, and what makes a VM or a volume has its owner
  yield* sql`insert into request_keys_next
    select coalesce(case
        when not json_valid(k.fingerprint) then null
        when k.thing is not null then k.fingerprint ->> '$[0]'
        when k.fingerprint ->> '$[0]' = 'VM' then v.owner
        when k.fingerprint ->> '$[0]' = 'volume' then w.owner
      end, '*'), k.key, 0, k.fingerprint, k.operation_id, k.thing, k.thing_id, k.created_at
    from request_keys k left join operations o on o.id = k.operation_id
      left join vms v on v.id = o.vm_id left join volumes w on w.id = o.volume_id`
  const parts = yield* sql<{ asker: string; key: string; fingerprint: string }>`select asker, key, fingerprint
    from request_keys_next where json_valid(fingerprint) and fingerprint ->> '$[0]' = 'VM'
      and json_type(fingerprint, '$[5]') = 'integer'`
  for (const { asker, fingerprint, key } of parts) {
    const number = /[0-9]+$/.exec(key)?.[0] ?? ""
    const all = key.slice(0, -`/${number}`.length)
    yield* sql`update request_keys_next set key = ${all}, number = ${Number(number)}
      where asker = ${asker} and key = ${key} and number = 0`
    yield* sql`insert into request_keys_next
      select asker, key, 0, json_set(fingerprint, '$[0]', 'VMs', '$[1]',
          substr(fingerprint ->> '$[1]', 1, length(fingerprint ->> '$[1]') - ${`-${number}`.length})),
        operation_id, thing, thing_id, created_at
      from request_keys_next where asker = ${asker} and key = ${all} and fingerprint = ${fingerprint}
      on conflict do nothing`
  }
  yield* sql`drop table request_keys`
  yield* sql`alter table request_keys_next rename to request_keys`
  yield* sql`create index request_keys_age on request_keys (created_at)`
})

/** JSON: what a type requires of hosts; null: nothing. Those of the types file are written at every start. */
const requiringTypes = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`alter table instance_types add column requires text`
})

/**
 * Who asked for an operation, by name, with which token, or why the controller began it by itself. What is there already says nothing of that. Whoever
 * follows operations is told, too.
 */
const authors = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`alter table operations add column user text`
  yield* sql`alter table operations add column token text`
  yield* sql`alter table operations add column cause text`
  yield* sql`create index operations_user on operations (user, seq) where user is not null`
  const about = "operation_id, vm_id, volume_id, snapshot_id"
  const told = (on: string, name: string, type: string, more = "") =>
    Effect.zipRight(
      sql.unsafe(`drop trigger event_operation_${name}`),
      sql.unsafe(`create trigger event_operation_${name} after ${on} begin
    insert into events (type, ${about}, data)
    values ('${type}', new.id, new.vm_id, new.volume_id, new.snapshot_id,
      json_object('kind', new.kind, 'state', new.state, 'error', new.error,
        'cancelAsked', json(iif(new.cancel_asked, 'true', 'false')), 'user', new.user, 'cause', new.cause${more}));
  end`)
    )
  yield* told("insert on operations", "created", "operation.created")
  yield* told(
    `update of state, error, cancel_asked on operations
    when old.state is not new.state or old.error is not new.error or old.cancel_asked is not new.cancel_asked`,
    "changed",
    "operation.changed"
  )
  yield* told(
    "update of retried_by on operations when old.retried_by is not new.retried_by",
    "retried",
    "operation.changed",
    ", 'retriedBy', new.retried_by"
  )
})

/** Lines of strangers are counted apart, so that they push out only their own kind: `nth` among those of its kind. */
const auditKinds = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`alter table audit add column nth integer not null default 0`
  yield* sql`update audit set nth = id`
  yield* sql`create index audit_nth on audit ((via is null), nth)`
})

/** Since when a host is declared lost, in milliseconds since 1970; null: it is not. */
const lostHosts = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`alter table hosts add column lost_at integer`
})

/** By `<number>_<name>`, applied in order of the number. @since 0.1.0 @category migrations */
export const migrations = {
  "0001_initial": initial,
  "0002_volumes": volumes,
  "0003_observations": observations,
  "0004_events": events,
  "0005_identity": identity,
  "0006_pages": pages,
  "0007_webhooks": webhooks,
  "0008_drift_events": driftEvents,
  "0009_power": power,
  "0010_cloud_inits": cloudInits,
  "0011_nics": nics,
  "0012_made_types": madeTypes,
  "0013_made_images": madeImages,
  "0014_host_origins": hostOrigins,
  "0015_made_events": madeEvents,
  "0016_placements": placements,
  "0018_explanations": explanations,
  "0020_settings_events": settingsEvents,
  "0021_retries": retries,
  "0022_disabled_users": disabledUsers,
  "0023_webhook_deliveries": deliveries,
  "0024_keyed_things": keyedThings,
  "0025_quotas": quotas,
  "0026_askers": askers,
  "0027_requiring_types": requiringTypes,
  "0028_authors": authors,
  "0029_audit_kinds": auditKinds,
  "0030_lost_hosts": lostHosts
}

/** The highest number: a database beyond it was written by a newer program. @since 0.1.0 @category migrations */
export const latest = Math.max(...Object.keys(migrations).map((name) => Number.parseInt(name, 10)))
