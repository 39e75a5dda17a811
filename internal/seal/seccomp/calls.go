package seccomp

import (
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// architectures are those whose numbering the filter knows, with the 32-bit one
// that the same processor runs.
var architectures = map[string][]specs.Arch{
	"amd64": {specs.ArchX86_64, specs.ArchX86},
	"arm64": {specs.ArchAARCH64, specs.ArchARM},
}

var byArch = map[string][]string{
	"amd64": {"arch_prctl", "modify_ldt"},
	"arm64": {"arm_fadvise64_64", "arm_sync_file_range", "sync_file_range2", "breakpoint", "cacheflush", "set_tls"},
}

// byCapability are calls that do nothing without a capability.
var byCapability = map[string][]string{
	"SYS_CHROOT": {"chroot"},
	"SYS_PTRACE": {"ptrace", "process_vm_readv", "process_vm_writev", "kcmp", "pidfd_getfd"},
}

// What programs need, by what it is for (syscalls(2)).
var (
	memory = strings.Fields(`brk cachestat get_mempolicy madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock mlock2 mlockall
		mmap mmap2 mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect process_madvise
		process_mrelease remap_file_pages rseq set_mempolicy set_mempolicy_home_node`)

	processes = strings.Fields(`execve execveat exit exit_group fork vfork wait4 waitid waitpid getpid getppid gettid getpgid getpgrp
		getsid setpgid setsid set_tid_address set_thread_area get_thread_area set_robust_list get_robust_list prctl
		getpriority setpriority ioprio_get ioprio_set sched_get_priority_max sched_get_priority_min sched_getaffinity
		sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval sched_setaffinity sched_setattr
		sched_setparam sched_setscheduler sched_yield getrlimit setrlimit ugetrlimit prlimit64 getrusage times
		pidfd_open pidfd_send_signal getcpu nice seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self`)

	identity = strings.Fields(`capget capset getuid getuid32 geteuid geteuid32 getgid getgid32 getegid getegid32 getgroups
		getgroups32 getresuid getresuid32 getresgid getresgid32 setuid setuid32 setgid setgid32 setgroups setgroups32
		setreuid setreuid32 setregid setregid32 setresuid setresuid32 setresgid setresgid32 setfsuid setfsuid32
		setfsgid setfsgid32 umask`)

	signals = strings.Fields(`kill tkill tgkill pause restart_syscall rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo
		rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sigaltstack signal sigaction
		sigpending sigprocmask sigreturn sigsuspend signalfd signalfd4`)

	timers = strings.Fields(`alarm clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep
		clock_nanosleep_time64 getitimer setitimer gettimeofday nanosleep time timer_create timer_delete timer_getoverrun
		timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64
		timerfd_settime timerfd_settime64 adjtimex clock_adjtime clock_adjtime64`)

	files = strings.Fields(`access faccessat faccessat2 chdir fchdir getcwd chown chown32 fchown fchown32 fchownat lchown
		lchown32 close close_range copy_file_range dup dup2 dup3 fadvise64 fadvise64_64 fallocate fcntl fcntl64 fdatasync
		fsync flock fstat fstat64 fstatat64 fstatfs fstatfs64 ftruncate ftruncate64 futimesat getdents getdents64
		getxattr fgetxattr lgetxattr listxattr flistxattr llistxattr removexattr fremovexattr lremovexattr setxattr
		fsetxattr lsetxattr inotify_add_watch inotify_init inotify_init1 inotify_rm_watch ioctl link linkat lseek _llseek
		lstat lstat64 newfstatat stat stat64 statfs statfs64 statx oldfstat oldlstat oldstat pipe pipe2 pread64 preadv
		preadv2 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv write writev rename renameat renameat2
		rmdir sendfile sendfile64 splice symlink symlinkat sync sync_file_range syncfs tee truncate truncate64 unlink
		unlinkat utime utimensat utimensat_time64 utimes vmsplice`)

	polling = strings.Fields(`epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait
		epoll_wait_old eventfd eventfd2 futex futex_time64 futex_waitv futex_wait futex_wake futex_requeue poll ppoll
		ppoll_time64 pselect6 pselect6_time64 select _newselect io_cancel io_destroy io_getevents io_pgetevents
		io_pgetevents_time64 io_setup io_submit`)

	sockets = strings.Fields(`accept accept4 bind connect getpeername getsockname getsockopt setsockopt listen recv recvfrom
		recvmmsg recvmmsg_time64 recvmsg send sendmmsg sendmsg sendto shutdown`)

	ipc = strings.Fields(`mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend
		mq_timedsend_time64 mq_unlink msgctl msgget msgrcv msgsnd semctl semget semop semtimedop semtimedop_time64 shmat
		shmctl shmdt shmget ipc`)

	machine = strings.Fields(`getrandom sysinfo uname sethostname setdomainname`)
)
