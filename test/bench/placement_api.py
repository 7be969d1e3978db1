"""
OpenStack Placement without HTTP: its WSGI application in this process, on SQLite.

Arguments: a file for the database, hosts, seconds. The hosts are those of the bench's engine, in use unevenly, one VM a host for all of its
promises. Then for so many seconds (one decision at least): allocation_candidates with limit=1 for 2 vCPUs, 2 GiB and a disk of 20 GiB, and the
allocation that was offered is made. Prints JSON: version, and the milliseconds of each decision.
"""
import json
import sqlite3
import sys
import time
import uuid
import warnings

warnings.simplefilter("ignore")

import webob
from oslo_config import cfg
from placement import conf, db_api, deploy
from placement.db.sqlalchemy import migration
from pbr import version

file, hosts, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])

config = cfg.ConfigOpts()
conf.register_opts(config)
config.set_default("connection", "sqlite:///" + file, group="placement_database")
config([], project="placement", default_config_files=[])
config.set_override("auth_strategy", "noauth2", group="api")
db_api.configure(config)
migration.create_schema()
app = deploy.loadapp(config)


def ask(method, path, body=None):
    request = webob.Request.blank(
        path, method=method, headers={"x-auth-token": "admin", "OpenStack-API-Version": "placement 1.36"}
    )
    if body is not None:
        request.content_type = "application/json"
        request.body = json.dumps(body).encode()
    response = request.get_response(app)
    if response.status_code >= 300:
        sys.exit(f"{method} {path}: {response.status_code} {response.text[:300]}")
    return response


ask("GET", "/resource_classes")

capacities = ((0, 128, 2), (1, 131072, 2048), (2, 2000, 20))
with sqlite3.connect(file) as rows:
    rows.execute("insert into projects (id, external_id) values (1, 'bench')")
    rows.execute("insert into users (id, external_id) values (1, 'bench')")
    for i in range(hosts):
        host, consumer = str(uuid.UUID(int=i + 1)), str(uuid.UUID(int=hosts + i + 1))
        vms = 64 if i % 8 == 0 else (i * 7919) % 60
        rows.execute(
            "insert into resource_providers (id, uuid, name, generation, root_provider_id) values (?, ?, ?, 0, ?)",
            (i + 1, host, f"host-{i}", i + 1),
        )
        rows.executemany(
            "insert into inventories (resource_provider_id, resource_class_id, total, reserved, min_unit, max_unit, step_size,"
            " allocation_ratio) values (?, ?, ?, 0, 1, 2147483647, 1, 1.0)",
            [(i + 1, kind, total) for kind, total, _each in capacities],
        )
        if vms == 0:
            continue
        rows.execute(
            "insert into consumers (uuid, project_id, user_id, generation) values (?, 1, 1, 0)", (consumer,)
        )
        rows.executemany(
            "insert into allocations (resource_provider_id, consumer_id, resource_class_id, used) values (?, ?, ?, ?)",
            [(i + 1, consumer, kind, vms * each) for kind, _total, each in capacities],
        )
    rows.execute("analyze")
rows.close()


def decide():
    offered = ask("GET", "/allocation_candidates?resources=VCPU:2,MEMORY_MB:2048,DISK_GB:20&limit=1").json_body
    (allocation,) = offered["allocation_requests"]
    ask(
        "PUT",
        f"/allocations/{uuid.uuid4()}",
        {
            "allocations": allocation["allocations"],
            "project_id": "bench",
            "user_id": "bench",
            "consumer_generation": None,
        },
    )


times = []
begun = time.perf_counter()
if hosts <= 5000:
    decide()  # the first one prepares statements
while not times or time.perf_counter() - begun < seconds:
    started = time.perf_counter()
    decide()
    times.append((time.perf_counter() - started) * 1000)
print(json.dumps({"version": version.VersionInfo("openstack-placement").release_string(), "times": times}))
