"""The seccomp filter of a sandbox: the system calls it may not make, in the kernel's classic BPF.

Namespaces and dropped capabilities already refuse most of these calls. The filter also makes the kernel code behind
them unreachable, where vulnerabilities tend to be: user namespaces, mounts, bpf, io_uring, keys and tracing, and socket
families that a network namespace does not confine (vsock reaches the host of a virtual machine). It is a deny list,
derived from the calls that Docker's allow list leaves out, so that programs that use new calls keep working.

We build it ourselves because the format is about 40 instructions: libseccomp's bindings need the system's Python
(``python3-seccomp``) or have had no release since 2021 (``pyseccomp``). The numbers are from the kernel's unistd.h.
"""

from __future__ import annotations

import errno
import platform
import struct
from collections.abc import Mapping
from typing import Final

# name: (x86_64, aarch64); -1 where the architecture does not have the call
_DENIED: Final[Mapping[str, tuple[int, int]]] = {
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "pidfd_getfd": (438, 438), "process_madvise": (440, 440), "process_mrelease": (448, 448),
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "open_tree": (428, 428),
    "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432),
    "fspick": (433, 433), "mount_setattr": (442, 442), "open_tree_attr": (467, 467), "unshare": (272, 97),
    "setns": (308, 268), "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "init_module": (175, 105), "finit_module": (313, 273),
    "delete_module": (176, 106), "swapon": (167, 224), "swapoff": (168, 225), "reboot": (169, 142), "acct": (163, 89),
    "quotactl": (179, 60), "quotactl_fd": (443, 443), "syslog": (103, 116), "settimeofday": (164, 170),
    "clock_settime": (227, 112), "clock_adjtime": (305, 266), "adjtimex": (159, 171),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "lookup_dcookie": (212, 18),
    "fanotify_init": (300, 262), "vhangup": (153, 58), "sethostname": (170, 161), "setdomainname": (171, 162),
    "iopl": (172, -1), "ioperm": (173, -1), "modify_ldt": (154, -1), "uselib": (134, -1), "nfsservctl": (180, 42),
    "move_pages": (279, 239), "migrate_pages": (256, 238),
}  # fmt: skip
# Answered with ENOSYS, as by an older kernel: the C library and node fall back to calls that can be checked.
_UNSUPPORTED: Final[Mapping[str, tuple[int, int]]] = {
    "clone3": (435, 435), "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    # memory that cannot be accounted for: a mapping of it may be closed, and no process reports it
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "mq_open": (240, 180), "mq_unlink": (241, 181),
    "semget": (64, 190), "semop": (65, 193), "semctl": (66, 191), "semtimedop": (220, 192),
    "msgget": (68, 186), "msgsnd": (69, 189), "msgrcv": (70, 188), "msgctl": (71, 187),
}  # fmt: skip
# Also unaccounted memory. In an IPC namespace of the run's own one page is allowed, for programs that probe for it.
_SHARED_MEMORY: Final[Mapping[str, tuple[int, int]]] = {
    "shmget": (29, 194), "shmctl": (31, 195), "shmat": (30, 196), "shmdt": (67, 197),
}  # fmt: skip
# Calls that act on any process of the same user, with the argument that must be 0 for the caller itself. Without a
# process namespace that includes the worker. `kill` is missing because Landlock restricts it.
_BY_PROCESS: Final[Mapping[str, tuple[tuple[int, int], tuple[tuple[int, int], ...]]]] = {
    "prlimit64": ((302, 261), ((0, 0),)),
    "sched_setaffinity": ((203, 122), ((0, 0),)),
    "sched_setparam": ((142, 118), ((0, 0),)),
    "sched_setscheduler": ((144, 119), ((0, 0),)),
    "sched_setattr": ((314, 274), ((0, 0),)),
    "setpriority": ((141, 140), ((0, 0), (1, 0))),  # PRIO_PROCESS
    "ioprio_set": ((251, 30), ((0, 1), (1, 0))),  # IOPRIO_WHO_PROCESS
}
# Calls that change a file by path instead of descriptor, which Landlock does not restrict.
_BY_PATH: Final[Mapping[str, tuple[int, int]]] = {
    "chmod": (90, -1), "fchmodat": (268, 53), "fchmodat2": (452, 452), "chown": (92, -1), "lchown": (94, -1),
    "fchownat": (260, 54), "utime": (132, -1), "utimes": (235, -1), "futimesat": (261, -1), "setxattr": (188, 5),
    "lsetxattr": (189, 6), "setxattrat": (463, 463), "removexattr": (197, 14), "lremovexattr": (198, 15),
    "removexattrat": (466, 466), "file_setattr": (469, 469),
}  # fmt: skip
_MACHINES: Final = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_CLONE: Final = (56, 220)
_IOCTL: Final = (16, 29)
_SOCKET: Final = (41, 198)
_UTIMENSAT: Final = (280, 88)
_SHMGET: Final = (29, 194)
_SETSOCKOPT: Final = (54, 208)

# every CLONE_NEW* flag that clone takes; only clone3 and unshare take CLONE_NEWTIME
_NEW_NAMESPACES: Final = 0x7E020000
_FAMILIES: Final = (1, 2, 10, 16)  # unix, inet, inet6 and netlink: namespaces confine each of them
_TERMINAL: Final = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX: they insert input into the user's terminal

_PAGE: Final = 4096
_SOL_SOCKET: Final = 1
_BUFFERS: Final = (7, 8, 32, 33)  # SO_SNDBUF, SO_RCVBUF, SO_SNDBUFFORCE, SO_RCVBUFFORCE

_LOAD, _EQUAL, _SET, _AT_LEAST, _RETURN = 0x20, 0x15, 0x45, 0x35, 0x06
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_NUMBER, _MACHINE, _ARGUMENTS = 0, 4, 16

_Instruction = tuple[int, int, int, int]


def syscall_filter(machine: str = platform.machine(), *, landlock: bool = False) -> bytes:
    """The BPF program for this architecture; empty where we have no table of call numbers.

    With `landlock`, it also refuses every socket, changes of files by path, calls that act on other processes, and
    System V shared memory.
    """
    if machine not in _MACHINES:
        return b""
    column, number = _MACHINES[machine]
    program: list[_Instruction] = [
        (_LOAD, 0, 0, _MACHINE),
        (_EQUAL, 1, 0, number),
        (_RETURN, 0, 0, _KILL),  # a 32-bit program, which uses another call table
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, 0x40000000),
        _return_errno(errno.ENOSYS),  # x32, a third call table
    ]
    denied = {**_DENIED, **(_BY_PATH if landlock else {})}
    unsupported = {**_UNSUPPORTED, **(_SHARED_MEMORY if landlock else {})}
    for calls, error in ((denied, errno.EPERM), (unsupported, errno.ENOSYS)):
        for numbers in calls.values():
            if numbers[column] >= 0:
                program += [(_EQUAL, 0, 1, numbers[column]), _return_errno(error)]
    program += _check_argument(_CLONE[column], 0, [(_SET, 0, 1, _NEW_NAMESPACES), _return_errno(errno.EPERM)])
    terminal = [check for request in _TERMINAL for check in ((_EQUAL, 0, 1, request), _return_errno(errno.EPERM))]
    program += _check_argument(_IOCTL[column], 1, terminal)
    program += _ignore_buffer_sizes(_SETSOCKOPT[column])
    program += _shared_namespace_rules(column) if landlock else _own_namespace_rules(column)
    program.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def _shared_namespace_rules(column: int) -> list[_Instruction]:
    """Rules for a run that shares the host's namespaces: no sockets, and no calls that act on other processes."""
    program = [(_EQUAL, 0, 1, _SOCKET[column]), _return_errno(errno.EACCES)]
    program += _check_argument(_UTIMENSAT[column], 1, [(_EQUAL, 1, 0, 0), _return_errno(errno.EPERM)])
    for numbers, arguments in _BY_PROCESS.values():
        for argument, self_value in arguments:
            program += _check_argument(
                numbers[column], argument, [(_EQUAL, 1, 0, self_value), _return_errno(errno.EPERM)]
            )
    return program


def _own_namespace_rules(column: int) -> list[_Instruction]:
    """Rules for a run with its own namespaces: socket families that they confine, and one page of shared memory."""
    families = [(_EQUAL, len(_FAMILIES) - n, 0, family) for n, family in enumerate(_FAMILIES)]
    program = _check_argument(_SOCKET[column], 0, [*families, _return_errno(errno.EAFNOSUPPORT)])
    too_large = _return_errno(errno.EINVAL)  # as for a size beyond shmmax
    high_half = [(_LOAD, 0, 0, _ARGUMENTS + 12), (_EQUAL, 1, 0, 0), too_large]
    return program + _check_argument(_SHMGET[column], 1, [(_AT_LEAST, 0, 1, _PAGE + 1), too_large, *high_half])


def _ignore_buffer_sizes(call: int) -> list[_Instruction]:
    """Pretend to set the size of a socket's buffers without changing it.

    A buffer holds at most 208 KiB by default, so counting sockets bounds the memory in them.
    """
    checks = [instruction for option in _BUFFERS for instruction in ((_EQUAL, 0, 1, option), _return_errno(0))]
    level = [(_LOAD, 0, 0, _ARGUMENTS + 8), (_EQUAL, 0, len(checks) + 1, _SOL_SOCKET)]
    body = [*level, (_LOAD, 0, 0, _ARGUMENTS + 16), *checks, (_LOAD, 0, 0, _NUMBER)]
    return [(_EQUAL, 0, len(body), call), *body]


def _check_argument(call: int, argument: int, checks: list[_Instruction]) -> list[_Instruction]:
    """Check the low 32 bits of one argument of a call; afterwards the call number is loaded again."""
    body = [(_LOAD, 0, 0, _ARGUMENTS + 8 * argument), *checks, (_LOAD, 0, 0, _NUMBER)]
    return [(_EQUAL, 0, len(body), call), *body]


def _return_errno(error: int) -> _Instruction:
    return (_RETURN, 0, 0, _ERRNO | error)
