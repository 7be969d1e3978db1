/**
 * The program that works on images: Python, because librbd's binding for it is there wherever the `rbd` command is.
 *
 * Nothing of it is installed: a short command reads it from stdin.
 *
 * @since 0.2.0
 */

/** What it says when it is there to be sent the program: before, a shell's start files may have said something. @since 0.2.0 @category constants */
export const greeting = "vmfabric: send the program"

/** Reads a line with the program's length, then the program. */
const bootstrap = `import sys;print("${greeting}");i=sys.stdin.buffer;exec(compile(i.read(int(i.readline())),"vmfabric","exec"))`

/** What starts it. The system's own Python: librbd's binding is in no other. @since 0.2.0 @category constants */
export const argv = ["/usr/bin/python3", "-I", "-u", "-c", bootstrap] as const

/** @since 0.2.0 @category predicates */
export const isArgv = (words: ReadonlyArray<string>): boolean =>
  words.length === argv.length && argv.every((word, index) => words[index] === word)

/*
 * A request is one call of librbd's, a few that have no sense apart, or a list of such. Reads have threads of their own: a change waits half a
 * minute for an image whose user died with its lock. When stdin has ended nobody listens any more; what is under way gets two seconds all the
 * same, so that it leaves no image locked, but nothing more of a list is begun: whoever asked for it may be doing it anew.
 */
const source = String.raw`
import base64, ctypes, errno, json, os, re, select, struct, subprocess, sys, tempfile, threading, time
from collections import deque
from concurrent.futures import ThreadPoolExecutor

stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
speaking = threading.Lock()

def say(**reply):
    line = json.dumps(reply).encode() + b"\n"
    try:
        with speaking:
            stdout.write(line)
            stdout.flush()
    except OSError:
        os._exit(1)

class Refused(Exception):
    def __init__(self, at, number, detail):
        self.at, self.number, self.detail = at, number, detail

class Partly(Exception):
    def __init__(self, done, error):
        self.done, self.error = done, error

def refusal(error):
    if isinstance(error, Partly):
        return dict(refusal(error.error), done=error.done)
    if isinstance(error, Refused):
        return dict(errno=errno.errorcode.get(error.number, "EIO"), detail=error.detail, at=error.at)
    number = getattr(error, "errno", None)
    if number is None:
        number = errno.EINVAL if type(error).__name__ == "InvalidArgument" or isinstance(error, (TypeError, ValueError)) else errno.EIO
    detail = re.sub(r"^\[errno \d+\] ", "", getattr(error, "strerror", None) or str(error))
    return dict(errno=errno.errorcode.get(abs(number), "EIO"), detail=detail or type(error).__name__)

# ---- the cluster

def connect(tell, conf, client, pool):
    global rados, rbd, images, cluster, io, entity, pool_name
    try:
        import rados, rbd
    except ImportError as error:
        raise Refused("python", errno.ENOPKG, str(error))
    entity, pool_name = "client." + client, pool
    try:
        open(conf).close()
        # of the second format of clones, a snapshot can be removed that has some
        cluster = rados.Rados(conffile=conf, rados_id=client, conf=dict(client_mount_timeout="5",
            rados_mon_op_timeout="10", rados_osd_op_timeout="10", rbd_default_clone_format="1"))
    except (OSError, rados.Error) as error:
        raise Refused("conf", error.errno, getattr(error, "strerror", None) or str(error))
    try:
        cluster.connect()
    except rados.Error as error:
        # without a key it says now this, now that
        if error.errno not in (errno.ENOENT, errno.ETIMEDOUT):
            try:
                key()
            except OSError as missing:
                raise Refused("key", missing.errno, str(missing) if missing.filename else missing.strerror)
        raise Refused("connect", error.errno, str(error))
    try:
        io = cluster.open_ioctx(pool)
        # a full pool refuses at once instead of waiting for room, and lets images be removed
        (getattr(io, "set_pool_full_try", None) or io.set_osdmap_full_try)()
    except rados.Error as error:
        raise Refused("pool", error.errno, str(error))
    images = rbd.RBD()

def key():
    if cluster.conf_get("key"):
        return cluster.conf_get("key")
    if cluster.conf_get("keyfile"):
        with open(cluster.conf_get("keyfile")) as file:
            return file.read().strip()
    keyrings = cluster.conf_get("keyring")
    for path in filter(os.path.exists, re.split(r"[,;\s]+", keyrings)):
        section = None
        with open(path) as file:
            for line in file:
                header, value = re.match(r"\s*\[(.*)\]", line), re.match(r"\s*key\s*=\s*(\S+)", line)
                if header:
                    section = header.group(1)
                elif value and section == entity:
                    return value.group(1)
    raise OSError(errno.ENOENT, "it is not in %s" % keyrings.rstrip(","))

def command(prefix, **more):
    number, out, said = cluster.mon_command(json.dumps(dict(more, prefix=prefix, format="json")), b"")
    if number:
        raise OSError(abs(number), said or prefix)
    return json.loads(out.decode())

def describe(tell):
    return dict(fsid=cluster.get_fsid(), key=key(), version=command("version")["version"],
        monitors=[mon["public_addrs"]["addrvec"] for mon in command("mon dump")["mons"]])

def usage(tell):
    stats = [pool["stats"] for pool in command("df", detail="detail")["pools"] if pool["name"] == pool_name]
    return dict(stored=stats[0]["stored"], available=stats[0]["max_avail"], quota=stats[0].get("quota_bytes", 0))

# ---- images

def opened(image, read_only=False):
    return rbd.Image(io, image, read_only=read_only)

def watchers(image):
    return [watcher["addr"] for watcher in image.watchers_list() if watcher["id"] != cluster.get_instance_id()]

def unused(image):
    if watchers(image):
        raise OSError(errno.EBUSY, "it is open at " + ", ".join(watchers(image)))

def snapshots(image):
    return [snapshot for snapshot in image.list_snaps() if snapshot["namespace"] == 0]

def look(tell, image):
    with opened(image, True) as it:
        try:
            pool, parent, snapshot = it.parent_info()
            parent = dict(pool=pool, image=parent, snapshot=snapshot)
        except rbd.ImageNotFound:
            parent = None
        lockers = (it.list_lockers() or dict(lockers=[]))["lockers"]
        return dict(id=it.id(), size=it.size(), metadata=dict(it.metadata_list()), parent=parent, watchers=watchers(it),
            lockers=["%s at %s" % (client, address) for client, cookie, address in lockers],
            snapshots=[dict(name=one["name"], size=one["size"], protected=it.is_protected_snap(one["name"]))
                for one in snapshots(it)])

sources, opening = {}, threading.Lock()

# what is asked for has a name that is a word of the language
def read_snapshot(tell, image, snapshot, **given):
    at = given["from"]
    # it stays open for the pieces that follow
    with opening:
        if (image, snapshot) not in sources:
            sources[image, snapshot] = rbd.Image(io, image, snapshot=snapshot, read_only=True)
        it = sources[image, snapshot]
    # no longer than an answer is waited for
    end = min(it.size(), at + (1 << 30))
    while at < end:
        data = it.read(at, min(end, (at | 0x3fffff) + 1) - at)
        at += len(data)
        # an object is seldom full, and its zeros need not be sent
        used = -(-len(data.rstrip(b"\0")) // 65536) * 65536
        if used > 0:
            return dict(piece=dict(offset=at - len(data), content=base64.b64encode(data[:used]).decode()), next=at)
    return dict(piece=None, next=at)

def absent(tell, image):
    try:
        opened(image, True).close()
    except rbd.ImageNotFound:
        return
    raise OSError(errno.EEXIST, "it is there already")

def grow(tell, image, size):
    with opened(image) as it:
        if size < it.size():
            raise OSError(errno.EINVAL, "it has %d bytes" % it.size())
        if size > it.size():
            it.resize(size)

def set_metadata(tell, image, key, value):
    # the list of all would give it the value of the next
    if value == "":
        raise OSError(errno.EINVAL, "a value that is empty cannot be read back")
    with opened(image) as it:
        it.metadata_set(key, value)

def write(tell, image, content):
    data = base64.b64decode(content)
    with opened(image) as it:
        if len(data) > it.size():
            raise OSError(errno.EINVAL, "it has %d bytes" % it.size())
        it.write(data, 0)
        it.flush()

def create_snapshot(tell, image, snapshot):
    with opened(image) as it:
        it.create_snap(snapshot)

def protect_snapshot(tell, image, snapshot):
    with opened(image) as it:
        if not it.is_protected_snap(snapshot):
            it.protect_snap(snapshot)

def without(it, snapshot):
    if it.is_protected_snap(snapshot):
        it.unprotect_snap(snapshot)
    it.remove_snap(snapshot)

def remove_snapshot(tell, image, snapshot):
    with opened(image) as it:
        without(it, snapshot)

def rollback(tell, image, snapshot):
    with opened(image) as it:
        unused(it)
        it.rollback_to_snap(snapshot)

def children(tell, image, snapshot):
    with opened(image, True) as it:
        it.set_snap(snapshot)
        return [dict(pool=child["pool"], image=child["image"]) for child in it.list_children2()]

def trash(tell):
    return [dict(id=one["id"], name=one["name"]) for one in images.trash_list(io) if one["source"] == "USER"]

def move_to_trash(tell, image, delay):
    with opened(image, True) as it:
        unused(it)
    images.trash_move(io, image, delay)

def purge(tell, id):
    images.trash_get(io, id)
    with rbd.Image(io, image_id=id) as it:
        for snapshot in snapshots(it):
            without(it, snapshot["name"])
    images.trash_remove(io, id, True, on_progress=tell)

# ---- import

def taken(length):
    data = stdin.read(length)
    if len(data) < length:
        raise EOFError("the file ended before its end was told")
    return data

def frames():
    while True:
        offset, length = struct.unpack(">QI", taken(12))
        if length == 0:
            return
        yield offset, taken(length)

def temporary(size=0):
    file = tempfile.TemporaryFile(dir="/var/tmp", buffering=0)
    file.truncate(size)
    return file

# a small file may hold a vast disk; the guests of this machine and libvirt need room, too
def check_room(file):
    free = os.fstatvfs(file.fileno())
    if free.f_bavail * free.f_frsize < 1 << 30:
        raise OSError(errno.ENOSPC, "less than 1 GiB would be left for all else")

def converted(tell, size):
    with temporary() as source, temporary() as said:
        try:
            for offset, data in frames():
                check_room(source)
                while data:
                    data = data[source.write(data):]
            target = temporary(size)
        except OSError as error:
            raise Refused("temporary", error.errno, error.strerror)
        try:
            # it has nobody to end it when this process is killed
            child = subprocess.Popen(["qemu-img", "convert", "-n", "-f", "qcow2", "-O", "raw"]
                + ["/proc/self/fd/%d" % file.fileno() for file in (source, target)], pass_fds=(source.fileno(), target.fileno()),
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said,
                preexec_fn=lambda: ctypes.CDLL(None).prctl(1, 9))
        except OSError as error:
            raise Refused("qemu-img", errno.ENOPKG, str(error))
        while child.poll() is None:
            tell(os.fstat(target.fileno()).st_blocks)
            try:
                check_room(target)
            except OSError as error:
                child.kill()
                child.wait()
                raise Refused("temporary", error.errno, error.strerror)
            if select.select([stdin], [], [], 0.05)[0]:
                os._exit(1)
        if child.returncode != 0:
            said.seek(0)
            raise Refused("convert", errno.EINVAL, said.read().decode(errors="replace").strip()[-500:])
        return target

def pieces(file, size):
    at = 0
    while at < size:
        try:
            at = os.lseek(file.fileno(), at, os.SEEK_DATA)
        except OSError:
            return
        end = os.lseek(file.fileno(), at, os.SEEK_HOLE)
        while at < end:
            data = os.pread(file.fileno(), min(end, (at | 0x3fffff) + 1) - at, at)
            yield at, data
            at += len(data)

def import_image(tell, image, size, format):
    images.create(io, image, size)
    threads, pending, total = ThreadPoolExecutor(8), deque(), 0
    def settle(most):
        while len(pending) > most:
            pending.popleft().result()
    with opened(image) as it:
        say(id=tell.id, progress=0)
        for offset, data in frames() if format == "raw" else pieces(converted(tell, size), size):
            if offset + len(data) > size:
                raise OSError(errno.EINVAL, "the file is larger than the %d bytes it was said to have" % size)
            settle(8)
            pending.append(threads.submit(it.write, data, offset))
            total += len(data)
            tell(total)
        settle(0)
        it.flush()

# ---- requests

leaving = False

def id_of(image):
    with opened(image, True) as it:
        return it.id()

# who is cut off may be taken for gone, and what it made be made anew: it gives that no name
def in_order(tell, changes):
    own = {}
    for done, one in enumerate(changes):
        do, args = one["do"], one["args"]
        image = args["image"]
        try:
            if leaving:
                raise OSError(errno.ESHUTDOWN, "nobody listens any more")
            if do == "rename" and image in own and id_of(image) != own[image]:
                raise OSError(errno.ESTALE, "somebody else has made it anew")
            listed[do](tell, **args)
            if do in ("create", "clone"):
                own[image] = id_of(image)
        except Exception as error:
            raise Partly(done, error)

reads = dict(cluster=describe, usage=usage, look=look, children=children, trash=trash, readSnapshot=read_snapshot, absent=absent,
    list=lambda tell: images.list(io))

changes = dict(grow=grow, write=write, setMetadata=set_metadata, createSnapshot=create_snapshot, protectSnapshot=protect_snapshot,
    removeSnapshot=remove_snapshot, rollback=rollback, moveToTrash=move_to_trash, purge=purge,
    create=lambda tell, image, size: images.create(io, image, size),
    clone=lambda tell, parent, snapshot, image: images.clone(io, parent, snapshot, io, image),
    rename=lambda tell, image, name: images.rename(io, image, name),
    remove=lambda tell, image: images.remove(io, image, on_progress=tell),
    restore=lambda tell, id, image: images.trash_restore(io, id, image),
    inOrder=in_order)

listed = {do: dict(reads, **changes)[do] for do in ("absent", "create", "clone", "grow", "write", "setMetadata", "rename")}

class Tell:
    def __init__(self, id):
        self.id, self.at = id, time.monotonic()
    def __call__(self, done, total=None):
        if time.monotonic() - self.at > 1:
            self.at = time.monotonic()
            say(id=self.id, progress=done)
        return 0

running = threading.Condition()
count = 0

def serve(do, request):
    global count
    try:
        say(id=request["id"], ok=do(Tell(request["id"]), **request["args"]))
    except Exception as error:
        say(id=request["id"], **refusal(error))
    with running:
        count -= 1
        running.notify()

def main():
    global count, leaving
    readers, changers = ThreadPoolExecutor(16), ThreadPoolExecutor(64)
    for line in iter(stdin.readline, b""):
        request = json.loads(line.decode())
        do = request["do"]
        with running:
            count += 1
        if do in reads:
            readers.submit(serve, reads[do], request)
        elif do in changes:
            changers.submit(serve, changes[do], request)
        else:
            serve(dict(open=connect, importImage=import_image)[do], request)
            # what is left of a file that was refused is no request
            if do == "importImage":
                break
    leaving = True
    with running:
        running.wait_for(lambda: count == 0, 2)
    os._exit(0)

main()
`

/** What it is sent then. @since 0.2.0 @category constants */
export const text: Uint8Array = Buffer.from(`${Buffer.byteLength(source)}\n${source}`)
