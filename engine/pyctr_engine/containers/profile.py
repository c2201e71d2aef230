"""The default seccomp profile: which system calls a container may make, and how the filter is cached.

An allow list; what isn't named is answered with EPERM, ``clone3`` with ENOSYS so that libc falls back to ``clone``,
whose flags a filter can look at. What the list leaves out, and why: the mount family, namespaces (setns, unshare,
clone with new-namespace flags), kernel keys, modules, kexec, bpf, perf, io_uring, userfaultfd, clock setting, swap,
raw I/O ports, NUMA policy, open_by_handle_at (it walks past mounts). Capabilities that are added bring back the
calls they are for. Sources: seccomp(2), capabilities(7), and the peers' published defaults for comparison.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os

from pyctr_engine.errors import Unsupported
from pyctr_engine.linux import seccomp

_EPERM, _ENOSYS = 1, 38

_FILES = """
access chdir chmod chown chown32 close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2
fadvise64 fadvise64_64 fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl
fcntl64 fdatasync fgetxattr flistxattr flock fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64
fsync ftruncate ftruncate64 futimesat getcwd getdents getdents64 getxattr getxattrat inotify_add_watch
inotify_init inotify_init1 inotify_rm_watch ioctl lchown lchown32 lgetxattr link linkat listxattr listxattrat
llistxattr _llseek lremovexattr lseek lsetxattr lstat lstat64 mkdir mkdirat mknod mknodat name_to_handle_at
newfstatat oldfstat oldlstat oldstat open openat openat2 pipe pipe2 pread64 preadv preadv2 pwrite64 pwritev
pwritev2 read readahead readlink readlinkat readv removexattr removexattrat rename renameat renameat2 rmdir
sendfile sendfile64 setxattr setxattrat splice stat stat64 statfs statfs64 statmount listmount statx symlink
symlinkat sync sync_file_range sync_file_range2 syncfs tee truncate truncate64 umask unlink unlinkat utime
utimensat utimensat_time64 utimes vmsplice write writev cachestat file_getattr file_setattr
"""
_MEMORY = """
brk madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock mlock2 mlockall mmap mmap2
mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect process_madvise
process_mrelease remap_file_pages
"""
_PROCESSES = """
arch_prctl capget capset execve execveat exit exit_group fork get_robust_list get_thread_area getcpu getegid
getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getpgid getpgrp getpid getppid getpriority
getresgid getresgid32 getresuid getresuid32 getrlimit getrusage getsid gettid getuid getuid32 ioprio_get
ioprio_set kill landlock_add_rule landlock_create_ruleset landlock_restrict_self modify_ldt pidfd_getfd
pidfd_open pidfd_send_signal prctl prlimit64 process_vm_readv process_vm_writev ptrace rseq
sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam
sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr
sched_setparam sched_setscheduler sched_yield seccomp set_robust_list set_thread_area set_tid_address setfsgid
setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 setpgid setpriority setregid setregid32
setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit setsid setuid setuid32 sysinfo times
tgkill tkill ugetrlimit uname vfork wait4 waitid waitpid
"""
_SIGNALS_TIME = """
alarm clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep clock_nanosleep_time64
adjtimex epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old
eventfd eventfd2 futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake getitimer gettimeofday
nanosleep pause poll ppoll ppoll_time64 pselect6 pselect6_time64 restart_syscall rt_sigaction rt_sigpending
rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64
rt_tgsigqueueinfo select setitimer sigaltstack signal signalfd signalfd4 sigpending sigprocmask sigreturn
sigsuspend time timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime
timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64 getrandom
"""
_COMMUNICATION = """
accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom recvmmsg recvmmsg_time64
recvmsg send sendmmsg sendmsg sendto setsockopt shutdown socketcall socketpair mq_getsetattr mq_notify mq_open
mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink msgctl msgget msgrcv msgsnd
semctl semget semop semtimedop semtimedop_time64 shmat shmctl shmdt shmget ipc io_cancel io_destroy
io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit lsm_get_self_attr lsm_list_modules
lsm_set_self_attr
"""
_BY_CAPABILITY = {
    "DAC_READ_SEARCH": "open_by_handle_at",
    "SYS_ADMIN": "bpf clone fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie mount mount_setattr "
    "move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname sethostname setns syslog umount umount2 "
    "unshare pivot_root",
    "SYS_BOOT": "reboot",
    "SYS_CHROOT": "chroot",
    "SYS_MODULE": "delete_module init_module finit_module",
    "SYS_PACCT": "acct",
    "SYS_PTRACE": "kcmp",
    "SYS_RAWIO": "iopl ioperm",
    "SYS_TIME": "settimeofday stime clock_settime clock_settime64 clock_adjtime clock_adjtime64",
    "SYS_TTY_CONFIG": "vhangup",
    "SYS_NICE": "get_mempolicy mbind set_mempolicy set_mempolicy_home_node move_pages migrate_pages",
    "SYSLOG": "syslog",
    "BPF": "bpf",
    "PERFMON": "perf_event_open",
}
_NEW_NAMESPACES = 0x7E020000  # every CLONE_NEW* flag of clone(2)
_PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)  # Linux, 32-bit, UNAME26, both, "which?"
_SOCKET_FAMILIES = (*range(38), 39, *range(41, 46))  # all but AF_ALG (38) and AF_VSOCK (40)


def allowed_calls(capabilities: frozenset[str]) -> list[str]:
    """The calls that a container with these capabilities may make whatever their arguments."""
    names = set(f"{_FILES} {_MEMORY} {_PROCESSES} {_SIGNALS_TIME} {_COMMUNICATION}".split())
    for capability in capabilities:
        names.update(_BY_CAPABILITY.get(capability, "").split())
    return sorted(names)


def conditional_calls(capabilities: frozenset[str]) -> list[tuple[str, int, str, int, int]]:
    """The calls that depend on an argument, for `seccomp.compile_allow_list`."""
    rules = [("personality", 0, "eq", 0, value) for value in _PERSONALITIES]
    rules += [("socket", 0, "eq", 0, family) for family in _SOCKET_FAMILIES]
    if "SYS_ADMIN" not in capabilities:
        rules.append(("clone", 0, "masked", _NEW_NAMESPACES, 0))
    return rules


def program(cache_dir: str, capabilities: frozenset[str]) -> bytes:
    """The compiled filter for these capabilities, from the cache or made now (about 25 ms, once).

    Raises Unsupported when it has to be made and libseccomp is missing.
    """
    allowed, conditional = allowed_calls(capabilities), conditional_calls(capabilities)
    machine = os.uname().machine
    key = hashlib.sha256(json.dumps([2, machine, allowed, conditional]).encode()).hexdigest()[:16]
    path = f"{cache_dir}/seccomp-{key}.bpf"
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
        data = file.read()
        if data and len(data) % 8 == 0:
            return data
    answers = [("clone3", _ENOSYS)] if "SYS_ADMIN" not in capabilities else []
    try:
        data = seccomp.compile_allow_list(
            [*allowed, *(["clone3"] if not answers else [])], answers, conditional, _EPERM
        )
    except (ImportError, OSError, RuntimeError) as error:
        raise Unsupported(
            f"cannot make the system call filter: {error}",
            "install libseccomp2 (Debian: apt-get install libseccomp2), or use --security-opt seccomp=unconfined",
        ) from error
    os.makedirs(cache_dir, 0o700, exist_ok=True)
    # several threads of several programs may be making it at once
    temporary = f"{path}.{os.urandom(8).hex()}"
    with open(temporary, "wb") as file:
        file.write(data)
    os.rename(temporary, path)
    return data
