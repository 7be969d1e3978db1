"""Flask with its own server (threaded), its request log switched off: one answer from memory, or a row of SQLite.

flask_server.py memory|sqlite BODY DATABASE
"""

import json
import logging
import sqlite3
import sys

from flask import Flask, Response, g, jsonify, request
from werkzeug.serving import make_server

kind, body_file, database = sys.argv[1:4]
with open(body_file, "rb") as file:
    body = file.read()
app = Flask(__name__)
app.json.sort_keys = False
logging.getLogger("werkzeug").setLevel(logging.ERROR)

if kind == "memory":

    @app.get("/vm/query")
    def from_memory():
        return Response(body, mimetype="application/json")

else:
    with sqlite3.connect(database) as setup:
        setup.execute("create table vms (vmid integer primary key, name text, instance_type integer, pmid integer)")
        setup.execute("insert into vms values (:vmid, :name, :instance_type, :pmid)", json.loads(body))

    # as Flask's own tutorial does it: a connection for each request
    def connection():
        if "connection" not in g:
            g.connection = sqlite3.connect(database)
            g.connection.row_factory = sqlite3.Row
        return g.connection

    @app.teardown_appcontext
    def close(_):
        opened = g.pop("connection", None)
        if opened is not None:
            opened.close()

    @app.get("/vm/query")
    def from_database():
        vmid = request.args.get("vmid", type=int)
        row = connection().execute("select * from vms where vmid = ?", (vmid,)).fetchone()
        if row is None:
            return jsonify(error=f"vmid : {vmid} does not exist")
        return jsonify(dict(row))


server = make_server("127.0.0.1", 0, app, threaded=True)
print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
