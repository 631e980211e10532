# ruff: noqa: E501 - programs for the inside, written as densely as they are read
"""The probes by name: programs that try to get out of the sandbox at files, the kernel, the network and the socket.

``@NAME@`` stands for what the host has, see `escapes.World`; the words that they use are in `escapes.BEFORE`.
"""

from __future__ import annotations

FILES = {
    "passwords": """
for path in ('/etc/shadow', '/etc/gshadow', '/etc/sudoers', '/etc/ssh', '/etc/machine-id', '/etc/resolv.conf'):
    if os.path.lexists(path): out(path)
""",
    "homes-of-people": """
for home in ('/root', '/home/*', os.environ['HOME']):
    for name in ('.ssh', '.gitconfig', '.config/gh', '.netrc', '.docker', '.aws', '.bash_history', '.claude', '.codex'):
        for found in glob.glob(f'{home}/{name}'): out(found)
if os.listdir('/home') != ['lane']: out(os.listdir('/home'))
""",
    "our-state": """
if os.path.exists('@STATE@'): out('seen')
for path in ('@STATE@/secret', '@STATE@/../state/secret'): read(path)
""",
    "everything-readable": """
for top, folders, files in os.walk('/'):
    folders[:] = [f for f in folders if os.path.join(top, f) not in ('/usr', '/proc', '/dev', '/lib', '/lib64', '/bin', '/etc/ssl/certs')]
    for name in files: read(os.path.join(top, name), 100_000)
""",
    "run": """
found = sorted(os.path.join(t, n) for t, ds, fs in os.walk('/run') for n in ds + fs)
expected = ['/run/countersign', '/run/countersign/0.sock', '/run/countersign/forward.py',
            '/run/countersign/home', '/run/countersign/home/.tool', '/run/countersign/home/.tool/config']
if found != expected: out(found)
""",
    "sockets-of-daemons": """
for path in ('/run/docker.sock', '/var/run/docker.sock', '/run/podman/podman.sock', '/run/dbus/system_bus_socket',
             '/run/containerd/containerd.sock', '/tmp/.X11-unix', '/run/user', '/run/systemd/private', '/var'):
    if os.path.lexists(path): out(path)
""",
    "sys": """
if os.path.exists('/sys'): out(os.listdir('/sys'))
for path in ('/sys/kernel/uevent_helper', '/sys/fs/cgroup/release_agent', '/sys/kernel/mm/transparent_hugepage/enabled'):
    if writes(path): out(path)
""",
    "dots": """
for way in ('/work/../../..', '/proc/self/root/../..', '/proc/self/cwd/../../..', '/dev/fd/../../../..'):
    listed = says(os.listdir, way)
    if listed and sorted(listed) not in (sorted(os.listdir('/')), sorted(os.listdir('/proc'))): out(way, listed)
    read(way + '@STATE@/secret')
""",
    "inherited-descriptors": """
for n in range(3, 4096):
    try: os.fstat(n)
    except OSError: continue
    out(n, os.readlink(f'/proc/self/fd/{n}'))
""",
    "descriptors-of-others": """
for path in glob.glob('/proc/[0-9]*/fd/*'):
    if path.split('/')[2] == str(os.getpid()): continue
    link = says(os.readlink, path)
    if link and '@STATE@' in link: out(path, link)
    if link and link.startswith('/'):
        def act():
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK); return os.read(fd, 100_000)
        print(says(act))
""",
    "environment-of-the-first": "read('/proc/1/environ') and out('it has one')",
    "environments-and-command-lines": """
for path in glob.glob('/proc/[0-9]*/environ') + glob.glob('/proc/[0-9]*/cmdline') + glob.glob('/proc/[0-9]*/auxv'): read(path)
if '@STATE@'.encode() in b''.join(open(p, 'rb').read() for p in glob.glob('/proc/[0-9]*/cmdline')): out('a path of ours')
""",
    "memory-of-others": """
for pid in pids():
    if pid == os.getpid(): continue
    for line in (says(open, f'/proc/{pid}/maps') or ()):
        span, mode, *_ = line.split()
        low, high = (int(n, 16) for n in span.split('-'))
        if 'w' not in mode or high - low > 1 << 22: continue
        def act():
            fd = os.open(f'/proc/{pid}/mem', os.O_RDONLY); return os.pread(fd, high - low, low)
        if b'canary' + b'-' in (says(act) or b''): out(pid, 'holds it')
""",
    "roots-of-others": """
for path in glob.glob('/proc/[0-9]*/root') + glob.glob('/proc/[0-9]*/cwd'):
    if says(os.path.exists, path + '@STATE@') or says(os.path.exists, path + '/root'): out(path)
    read(path + '@STATE@/secret'); read(path + '/etc/shadow')
""",
    "host-processes": """
if len(pids()) > 4: out(pids())
for pid in (@VICTIM@, @US@):
    if pid > 10 and os.path.exists(f'/proc/{pid}'): out(pid)
    if pid > 10 and says(os.kill, pid, 9): out('killed', pid)
""",
    "core-pattern": """
if writes('/proc/sys/kernel/core_pattern', b'|/work/evil'): out('written')
""",
    "every-setting": """
for top, folders, files in os.walk('/proc/sys'):
    for name in files:
        if says(lambda: os.close(os.open(os.path.join(top, name), os.O_WRONLY))): out(top, name)
""",
    "kernel-files": """
for path in ('/proc/kcore', '/proc/kmem', '/proc/sysrq-trigger', '/dev/mem', '/dev/kmem', '/dev/port', '/dev/kmsg',
             '/proc/timer_list', '/proc/sched_debug', '/proc/acpi', '/proc/scsi', '/proc/bus/pci', '/sys/kernel/debug'):
    if writes(path): out('wrote', path)
for path in ('/proc/kcore', '/proc/kmsg', '/dev/mem', '/dev/kmsg', '/dev/port'):
    if says(lambda: os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))): out('read', path)
""",
    "own-limits": """
import resource
for name in ('NPROC', 'DATA', 'FSIZE', 'NOFILE', 'CPU', 'CORE', 'MEMLOCK'):
    limit = getattr(resource, 'RLIMIT_' + name)
    soft, hard = resource.getrlimit(limit)
    if name not in ('NPROC',) and hard == resource.RLIM_INFINITY: out(name, 'is not bound')
    if hard != resource.RLIM_INFINITY and says(resource.setrlimit, limit, (hard + 1, hard + 1)): out(name)
if writes('/proc/self/oom_score_adj', b'-1000'): out('oom')
if says(os.nice, -5): out('nice')
""",
    "system-folders": """
for path in ('/', '/usr', '/usr/bin', '/usr/local', '/usr/local/etc', '/etc', '/etc/ssl', '/lib', '/proc', '/dev', '/home', '/run',
             '/run/countersign', '/run/countersign/home'):
    if says(lambda: open(path + '/escaped', 'w').close()): out(path)
for path in ('/etc/passwd', '/etc/hosts', '/usr/bin/id', '/etc/ld.so.cache', '/run/countersign/forward.py'):
    if says(lambda: os.close(os.open(path, os.O_WRONLY))) or says(os.chmod, path, 0o777) or says(os.unlink, path): out(path)
if says(lambda: open('/etc/ld.so.preload', 'w').close()): out('preload')
""",
    "hard-links": """
for path in ('/usr/bin/id', '/etc/passwd', '/run/countersign/forward.py', '/run/countersign/0.sock'):
    if says(os.link, path, '/work/linked'): out(path)
fd = os.open('/usr/bin/id', os.O_RDONLY)
if says(lambda: os.link(f'/proc/self/fd/{fd}', '/work/linked', follow_symlinks=True)): out('by descriptor')
""",
    "symlinks": """
for n, target in enumerate(('/etc/shadow', '@STATE@/secret', '/root/.ssh/id_ed25519', '/proc/1/environ', '../../../../@STATE@/secret')):
    os.symlink(target, f'/work/link{n}')
    read(f'/work/link{n}')
    writes(f'/work/link{n}')
os.symlink('@STATE@', '/work/folder')
if says(os.listdir, '/work/folder'): out('listed')
""",
    "devices": """
allowed = {'null', 'zero', 'full', 'random', 'urandom', 'tty', 'ptmx', 'pts', 'shm', 'fd', 'stdin', 'stdout', 'stderr', 'core'}
if more := set(os.listdir('/dev')) - allowed: out(more)
for at in ('/work', '/tmp', '/dev/shm', os.environ['HOME']):
    for kind, major, minor in ((stat.S_IFBLK, 8, 0), (stat.S_IFBLK, 254, 0), (stat.S_IFCHR, 1, 1), (stat.S_IFCHR, 10, 229)):
        if says(os.mknod, f'{at}/device', kind | 0o666, os.makedev(major, minor)): out(at, kind)
""",
}

KERNEL = {
    "nested-namespaces": """
for flag in (0x10000000, 0x20000, 0x40000000, 0x20000000, 0x10020000, 0x80):
    if libc.unshare(flag) == 0: out(hex(flag))
for options in (['-U'], ['-Ur'], ['-Urm'], ['-Urn'], ['-m'], ['-n'], ['-p', '-f']):
    ran = subprocess.run(['unshare', *options, 'id'], capture_output=True)
    if ran.returncode == 0: out(options, ran.stdout)
""",
    "mounts": """
for what, at, kind, flags in (('none', '/tmp', 'tmpfs', 0), ('/', '/tmp', None, 4096), ('none', '/usr', None, 4096 | 32),
                              ('proc', '/tmp', 'proc', 0), ('none', '/', None, 32 | 4096), ('sysfs', '/tmp', 'sysfs', 0)):
    if libc.mount(what.encode(), at.encode(), kind and kind.encode(), flags, None) == 0: out(what, at, kind)
for path in ('/work', '/proc', '/etc/passwd', '/usr', '/run/countersign/0.sock'):
    if libc.umount2(path.encode(), 2) == 0: out('unmounted', path)
""",
    "other-roots": """
os.makedirs('/tmp/root/old', exist_ok=True)
if call(155, b'/tmp/root', b'/tmp/root/old') >= 0: out('pivot_root')
if says(os.chroot, '/tmp/root'): out('chroot')
""",
    "joining-namespaces": """
for path in glob.glob('/proc/[0-9]*/ns/*'):
    if path.split('/')[2] == str(os.getpid()): continue
    fd = says(os.open, path, os.O_RDONLY)
    if fd is not None and fd is not True and libc.setns(fd, 0) == 0: out(path)
""",
    "tracing-the-relay": """
for pid in relay() + [1]:
    for request in (16, 0x4206):
        ctypes.set_errno(0)
        if libc.ptrace(request, pid, 0, 0) == 0: out('traced', pid)
""",
    "killing-the-first": """
for number in (1, 9, 15, 19):
    says(os.kill, 1, number)
time.sleep(.2)
if not os.path.exists('/proc/1'): out('gone')
""",
    "killing-everybody": """
says(os.kill, -1, 9)
says(os.killpg, os.getpgid(0), 0)
""",
    "setuid-programs": """
found = subprocess.run(['find', '/usr', '-type', 'f', '-perm', '/6000'], capture_output=True, text=True).stdout.split()
for path in found:
    null = subprocess.DEVNULL
    child = says(lambda: subprocess.Popen([path, '--version'], stdout=null, stderr=null, stdin=null))
    if child is None: continue
    uids = says(lambda: [l for l in open(f'/proc/{child.pid}/status') if l.startswith('Uid')][0].split()[1:])
    if uids and '0' in uids: out(path, uids)
    child.kill(); child.wait()
subprocess.run(['cp', '/usr/bin/id', '/work/id']); os.chmod('/work/id', 0o6755)
if b'euid=' in subprocess.run(['/work/id'], capture_output=True).stdout: out('own')
for path in ('/usr/bin/su', '/usr/bin/sudo', '/usr/bin/newuidmap', '/usr/bin/pkexec', '/usr/bin/mount'):
    if os.path.exists(path):
        ran = subprocess.run([path, '-c', 'id'], capture_output=True, stdin=subprocess.DEVNULL)
        if b'uid=0' in ran.stdout: out(path)
""",
    "becoming-root": """
for act in ((os.setuid, 0), (os.setgid, 0), (os.setgroups, [0]), (os.setresuid, 0, 0, 0), (os.seteuid, 0)):
    if says(*act): out(act)
if libc.prctl(38, 0, 0, 0, 0) == 0: out('new privileges')
if libc.prctl(28, 0, 0, 0, 0) == 0 and libc.prctl(24, 21, 0, 0, 0) == 0: out('bounding set')
status = dict(l.split(':', 1) for l in open('/proc/self/status') if ':' in l)
for name in ('CapInh', 'CapPrm', 'CapEff', 'CapAmb'):
    if int(status[name], 16): out(name, status[name])
class Header(ctypes.Structure): _fields_ = [('v', ctypes.c_uint32), ('pid', ctypes.c_int)]
full = (ctypes.c_uint32 * 6)(*[0xffffffff] * 6)
if libc.capset(ctypes.byref(Header(0x20080522, 0)), full) == 0: out('capset')
""",
    "calls-with-a-history": """
for name, number in dict(keyctl=250, add_key=248, request_key=249, bpf=321, perf_event_open=298, userfaultfd=323,
                         io_uring_setup=425, open_by_handle_at=304, name_to_handle_at=303, process_vm_readv=310,
                         init_module=175, kexec_load=246, swapon=167, reboot=169, acct=163, syslog=103, mount_setattr=442,
                         fsopen=430, pidfd_getfd=438, kcmp=312, clock_settime=227, sethostname=170).items():
    if os.uname().machine == 'x86_64' and call(number, 0, 0, 0, 0, 0) not in (-1, -38): out(name)
""",
    "keys": """
print(says(lambda: open('/proc/keys').read()))
if os.uname().machine == 'x86_64':
    for ring in (-1, -2, -3, -4, -5):
        if call(250, 0, ring, 1) > 0: out('keyring', ring)
""",
    "shared-memory-of-the-host": """
libc.shmat.restype = ctypes.c_void_p
number = libc.shmget(@SHM@, 0, 0)
if number >= 0: out('found', ctypes.string_at(libc.shmat(number, None, 0), 64))
print(open('/proc/sysvipc/shm').read(), open('/proc/sysvipc/msg').read())
if len(open('/proc/sysvipc/shm').read().splitlines()) > 1: out('others')
""",
    "terminal": r"""
for path in ('/dev/tty', '/dev/console', '/dev/tty0', '/dev/tty1'):
    if says(lambda: os.close(os.open(path, os.O_RDWR))): out(path)
for fd in (0, 1, 2):
    if os.isatty(fd): out('terminal', fd)
    for what in (0x5412, 0x541C):
        if says(fcntl.ioctl, fd, what, b'x'): out('typed', fd)
print('\x1b]0;owned\x07 \x1b[2J \x1b]52;c;ZXNjYXBl\x07')
if os.listdir('/dev/pts') not in ([], ['ptmx']): out(os.listdir('/dev/pts'))
""",
}

NETWORK = {
    "host-loopback": """
for host in ('127.0.0.1', '127.0.0.2', '0.0.0.0', '127.1', 'localhost', socket.gethostname()):
    if reaches(socket.AF_INET, socket.SOCK_STREAM, (host, @TCP@)): out(host)
""",
    "host-loopback-6": """
for host in ('::1', '::ffff:127.0.0.1', '::'):
    if reaches(socket.AF_INET6, socket.SOCK_STREAM, (host, @TCP@)): out(host)
""",
    "datagrams": """
for host in ('127.0.0.1', '255.255.255.255', '224.0.0.1'):
    def act():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1); s.settimeout(1)
            s.sendto(b'escaped', (host, @UDP@)); return s.recv(10)
    if says(act): out(host)
""",
    "names": """
for name in ('example.com', 'metadata.google.internal', 'host.docker.internal', 'localhost.localdomain'):
    if says(socket.getaddrinfo, name, 80): out(name)
for server in ('8.8.8.8', '127.0.0.53', '169.254.169.253', '2001:4860:4860::8888'):
    family = socket.AF_INET6 if ':' in server else socket.AF_INET
    def act():
        with socket.socket(family, socket.SOCK_DGRAM) as s:
            s.settimeout(1); s.connect((server, 53)); s.send(b'\\x00\\x01\\x01\\x00\\x00\\x01' + bytes(6) + b'\\x01a\\x00\\x00\\x01\\x00\\x01'); return s.recv(512)
    if says(act): out(server)
""",
    "metadata-address": """
for host in ('169.254.169.254', '169.254.170.2', '100.100.100.200', '192.0.0.192'):
    if reaches(socket.AF_INET, socket.SOCK_STREAM, (host, 80), b'GET / HTTP/1.0\\r\\n\\r\\n'): out(host)
if reaches(socket.AF_INET6, socket.SOCK_STREAM, ('fd00:ec2::254', 80)): out('fd00:ec2::254')
""",
    "raw-sockets": """
for family, kind, protocol in ((2, socket.SOCK_RAW, 1), (2, socket.SOCK_RAW, 255), (10, socket.SOCK_RAW, 58), (17, socket.SOCK_RAW, 768),
                               (17, socket.SOCK_DGRAM, 768)):
    if says(socket.socket, family, kind, protocol): out(family, kind, protocol)
if os.path.exists('/dev/net/tun'): out('tun')
""",
    "machines-beside": """
for family in (40, 38, 31, 30, 21, 16 + 28, 42):
    if says(socket.socket, family, socket.SOCK_STREAM): out('made', family)
for cid in (0, 1, 2):
    if hasattr(socket, 'AF_VSOCK') and reaches(socket.AF_VSOCK, socket.SOCK_STREAM, (cid, @TCP@)): out(cid)
""",
    "netlink": """
def ask(kind, flags, body):
    s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0); s.settimeout(5)
    s.send(struct.pack('=IHHII', 16 + len(body), kind, flags, 1, 0) + body)
    code = struct.unpack_from('=i', s.recv(65536), 16)[0]
    s.close()
    return code
link = struct.pack('=BxHiII', 0, 0, 0, 1, 1) + struct.pack('=HH', 16 + 4, 18 | 0x8000) + struct.pack('=HH', 12, 1) + b'dummy\\0\\0\\0'
if ask(16, 0x605, link) == 0: out('a new link')
route = struct.pack('=BBBBBBBBI', 2, 0, 0, 0, 254, 3, 0, 1, 0) + struct.pack('=HHI', 8, 4, 1)
if ask(24, 0x605, route) == 0: out('a new route')
names = [l.split(':')[0].strip() for l in open('/proc/net/dev').read().splitlines()[2:]]
if names != ['lo']: out(names)
""",
    "abstract-sockets": """
for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
    if reaches(socket.AF_UNIX, kind, '\\0@ABSTRACT@'): out(kind)
if '@ABSTRACT@' in open('/proc/net/unix').read(): out('listed')
for line in open('/proc/net/unix').read().splitlines()[1:]:
    if '@' in line.split()[-1]: print(line)
""",
    "sockets-by-path": """
for path in ('@STATE@/host.sock', '/proc/1/root@STATE@/host.sock', '/run/docker.sock'):
    if reaches(socket.AF_UNIX, socket.SOCK_STREAM, path): out(path)
""",
}

DOORS = {
    "a-door-leads-to-one-place": """
for port in (1, 22, 80, 443, 5432, 11434, @TCP@, @DOOR@ + 1):
    if reaches(socket.AF_INET, socket.SOCK_STREAM, ('127.0.0.1', port)): out(port)
if os.path.exists('/run/countersign/1.sock'): out('another')
""",
    "a-door-is-not-changed": """
path = '/run/countersign/0.sock'
for act in ((os.unlink, path), (os.rename, path, '/run/countersign/x'), (os.chmod, path, 0o777), (os.chown, path, os.getuid(), -1),
            (os.symlink, '@STATE@/host.sock', '/run/countersign/1.sock'), (os.utime, path, (1, 1))):
    if says(*act): out(act)
""",
    "the-relay-is-not-replaced": """
path = '/run/countersign/forward.py'
for act in ((open, path, 'a'), (os.unlink, path), (os.rename, '/work/mine', path), (os.chmod, path, 0o777)):
    if says(*act): out(act)
pid = relay()[0]
for name in ('mem', 'root/run/countersign/forward.py', 'exe'):
    if says(lambda: os.close(os.open(f'/proc/{pid}/{name}', os.O_WRONLY))) and name != 'mem': out(name)
""",
    "descriptors-through-the-door": """
import array
with socket.socket(socket.AF_UNIX) as s:
    s.connect('/run/countersign/0.sock')
    said = s.sendmsg([b'x\\n'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [os.open('/work', os.O_RDONLY)]))])
    got = s.recvmsg(100, 1000)
    if got[1]: out('a descriptor came back')
""",
}

LAYERS = {
    "what-lies-beneath-is-changed-in-every-way": """
old = open('/work/kept/text', 'rb')
held = os.open('/work/kept/other', os.O_RDONLY)
says(fcntl.ioctl, held, 0x40086602, struct.pack('l', 0x10 | 0x40))
for path in ('/work/kept/text', '/work/kept/run', f'/proc/self/fd/{held}'):
    writes(path, b'changed'); says(os.truncate, path, 1); says(os.chmod, path, 0o777); says(os.utime, path, (1, 1))
    says(os.chown, path, os.getuid(), os.getgid()); says(os.setxattr, path, 'user.mine', b'x')
import mmap
says(lambda: mmap.mmap(old.fileno(), 0, prot=mmap.PROT_READ | mmap.PROT_WRITE).write(b'changed')) and out('mapped')
says(os.unlink, '/work/kept/deep/er/file'); says(os.rmdir, '/work/kept/deep/er'); says(os.unlink, '/work/kept/link')
for at in ('/work/kept', '/work/kept/deep', '/work'): says(os.chmod, at, 0o777); says(os.utime, at, (1, 1))
""",
    "hard-links-of-what-lies-beneath": """
for at in ('/tmp', '/dev/shm', os.environ['HOME']):
    if says(os.link, '/work/kept/linked', at + '/out'): out(at)
if says(os.link, '/work/kept/linked', '/work/same'): writes('/work/same', b'changed')
fd = os.open('/work/kept/linked', os.O_RDONLY)
says(lambda: os.link(f'/proc/self/fd/{fd}', '/work/again', follow_symlinks=True)) and writes('/work/again', b'changed')
""",
    "whiteouts-by-hand": """
for at in ('/work/gone', '/work/kept/other', '/work/kept/deep/gone'):
    if says(os.mknod, at, stat.S_IFCHR | 0o666, 0): out('made', at)
    if says(os.mknod, '/tmp/gone', stat.S_IFCHR | 0o666, 0) and says(os.rename, '/tmp/gone', at): out('moved', at)
    says(os.unlink, '/tmp/gone')
for name in ('.wh.other', '.wh..wh..opq'): open('/work/kept/' + name, 'w').close()
if not os.path.exists('/work/kept/other'): out('hidden')
""",
    "overlay-attributes-by-hand": """
os.mkdir('/work/lead'); open('/work/empty', 'w').close()
for space in ('trusted.overlay.', 'user.overlay.', 'trusted.overlay.overlay.', 'user.overlay.overlay.', 'system.overlay.'):
    for name, value in dict(opaque=b'y', redirect=b'/../../../..@STATE@', metacopy=b'', whiteout=b'', origin=bytes(30), impure=b'y', nlink=b'U+9').items():
        for at in ('/work/kept', '/work/kept/deep', '/work/lead', '/work/empty', '/work/kept/other'):
            if says(os.setxattr, at, space + name, value) and space.startswith('trusted.'): out(space, name, at)
if not os.path.exists('/work/kept/stays') or not os.path.exists('/work/kept/deep/stays'): out('hidden')
if os.listdir('/work/lead'): out(os.listdir('/work/lead'))
""",
    "folders-beneath-are-moved": """
for old, new in (('/work/kept/deep', '/work/moved'), ('/work/kept', '/work/all'), ('/work/kept/deep', '/tmp/deep')):
    if says(os.rename, old, new): print('moved', old, sorted(os.listdir(new))); says(os.rename, new, old)
if call(316, -100, b'/work/kept/deep', -100, b'/work/kept/other', 2) == 0: print('exchanged')
if call(316, -100, b'/work/kept/stays', -100, b'/work/white', 4) == 0: out('left a whiteout')
""",
    "setuid-after-copying-up": """
import shutil
shutil.copyfile('/usr/bin/id', '/work/kept/run')
for mode in (0o4755, 0o6755, 0o2755):
    os.chmod('/work/kept/run', mode)
    told = subprocess.run(['/work/kept/run'], capture_output=True).stdout
    if b'euid=' in told or b'uid=0' in told or b'egid=' in told: out(told)
os.chmod('/work/kept/run', 0o755)
""",
    "links-on-top-lead-nowhere": """
says(os.unlink, '/work/kept/linked'); says(os.symlink, '@STATE@/secret', '/work/kept/linked')
says(os.symlink, '@STATE@', '/work/kept/folder')
read('/work/kept/linked'); writes('/work/kept/linked')
if says(os.listdir, '/work/kept/folder'): out('listed')
""",
    "above-the-layer": """
for way in ('/work/..', '/work/../layer', '/work/../files', '/work/../merged', '/proc/self/cwd/../layer', '/proc/1/root/work/../layer'):
    listed = says(os.listdir, way)
    if listed and sorted(listed) != sorted(os.listdir('/')): out(way, listed)
for line in open('/proc/self/mountinfo'):
    if '@STATE@' in line or 'workdir=/' in line or 'lowerdir=/' in line: out(line)
for path in glob.glob('/proc/[0-9]*/mountinfo'): read(path)
""",
    "odd-files-on-top": """
os.mkfifo('/work/kept/pipe')
socket.socket(socket.AF_UNIX).bind('/work/kept/sock')
for at in ('/work/kept/disk', '/work/kept/deep/disk'):
    if says(os.mknod, at, stat.S_IFBLK | 0o666, os.makedev(8, 0)): out('made', at)
    if says(os.mknod, at, stat.S_IFCHR | 0o666, os.makedev(1, 1)): out('made', at)
""",
}
"""Over a layer only; what is then beneath is in `escapes.BENEATH`."""

PROBES = {**FILES, **KERNEL, **NETWORK, **DOORS}
ALONE = frozenset({"killing-everybody"})
"""Probes that would end the others of their campaign."""
