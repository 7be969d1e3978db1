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

/** By `<number>_<name>`, applied in order of the number. @since 0.1.0 @category migrations */
export const migrations = {
  "0001_initial": initial
}

/** The highest number: a database beyond it was written by a newer program. @since 0.1.0 @category migrations */
export const latest = Math.max(...Object.keys(migrations).map((name) => Number.parseInt(name, 10)))
