//! How a runner confines itself, before any code of its library runs. It has one thread then; those
//! that come have the same bounds.

use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus,
    path_beneath_rules,
};
use rlimit::Resource;
use rustix::process::Signal;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use crate::confinement::{Confinement, Files};

/// Where libraries that an LPM takes are.
const LIBRARIES: [&str; 6] = [
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/etc/ld.so.cache",
];
/// The newest rules that are known here; of an older kernel those that it has.
const RULES: ABI = ABI::V5;

/// Confines this process, and says what the kernel cannot do of that.
pub(super) fn confine(to: &Confinement) -> Result<Vec<String>, Box<dyn Error>> {
    let mut missing = Vec::new();
    missing.extend(limit(to)?);
    if let Some((user, group)) = to.user {
        become_user(user, group).map_err(|error| format!("user {user}, group {group}: {error}"))?;
    }
    if to.files.is_some() || to.no_network {
        missing.extend(restrict(to.files.as_ref(), to.no_network)?);
    }
    if to.no_new_processes {
        missing.extend(filter(no_new_processes()?, libc::EPERM)?);
        // glibc then asks for a thread in the older way, which says that it is one.
        let newer = BTreeMap::from([(libc::SYS_clone3, vec![])]);
        missing.extend(filter(newer, libc::ENOSYS)?);
    }
    if to.no_network {
        missing.extend(filter(no_network()?, libc::EACCES)?);
    }
    missing.dedup();
    Ok(missing)
}

/// Sets the limits, and says which the kernel, or what stands for it, has not taken.
fn limit(to: &Confinement) -> Result<Option<String>, Box<dyn Error>> {
    let cpu_time = to.cpu_time.map(|time| time.as_secs().max(1));
    let limits = [
        (Resource::DATA, to.memory),
        (Resource::CPU, cpu_time),
        (Resource::NOFILE, to.open_files),
    ];
    let mut not_taken = Vec::new();
    for (resource, limit) in limits {
        let Some(limit) = limit else { continue };
        let failed = |error| format!("{}: {error}", resource.as_name());
        rlimit::setrlimit(resource, limit, limit).map_err(failed)?;
        if rlimit::getrlimit(resource).map_err(failed)? != (limit, limit) {
            not_taken.push(resource.as_name());
        }
    }
    let not_taken = not_taken.join(", ");
    Ok((!not_taken.is_empty()).then(|| format!("{not_taken} is not restricted here")))
}

/// Becomes another user, for good.
fn become_user(user: u32, group: u32) -> io::Result<()> {
    let is_done = |result| match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    };
    let parent = rustix::process::getppid();
    // SAFETY: it reads no list, since that has no groups.
    is_done(unsafe { libc::setgroups(0, std::ptr::null()) })?;
    // SAFETY: it takes numbers.
    is_done(unsafe { libc::setresgid(group, group, group) })?;
    // SAFETY: the same.
    is_done(unsafe { libc::setresuid(user, user, user) })?;
    // The kernel has forgotten that this process ends with its PCM.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    if rustix::process::getppid() != parent {
        return Err(io::ErrorKind::BrokenPipe.into());
    }
    Ok(())
}

fn restrict(files: Option<&Files>, no_network: bool) -> Result<Option<String>, Box<dyn Error>> {
    let mut rules = Ruleset::default();
    if files.is_some() {
        rules = rules.handle_access(AccessFs::from_all(RULES))?;
    }
    if no_network {
        rules = rules.handle_access(AccessNet::from_all(RULES))?;
    }
    let mut rules = rules.create()?;
    if let Some(Files { read, write }) = files {
        for path in read.iter().chain(write) {
            path.metadata()
                .map_err(|error| format!("{}: {error}", path.display()))?;
        }
        let libraries = LIBRARIES.iter().map(Path::new);
        let libraries = libraries.filter(|path| path.exists());
        let read = read.iter().map(PathBuf::as_path).chain(libraries);
        rules = rules
            .add_rules(path_beneath_rules(read, AccessFs::from_read(RULES)))?
            .add_rules(path_beneath_rules(write, AccessFs::from_all(RULES)))?;
    }
    let what = match rules.restrict_self()?.ruleset {
        RulesetStatus::FullyEnforced => return Ok(None),
        RulesetStatus::PartiallyEnforced => "some of Landlock's rules",
        _ => "no Landlock",
    };
    let open = match (files.is_some(), no_network) {
        (true, true) => "files and TCP",
        (true, false) => "files",
        _ => "TCP",
    };
    Ok(Some(format!(
        "this kernel has {what}: {open} are not restricted as configured"
    )))
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// The calls that make processes.
fn no_new_processes() -> Result<Rules, Box<dyn Error>> {
    let thread = u64::from(libc::CLONE_THREAD.unsigned_abs());
    let is_no_thread = SeccompCondition::new(
        0,
        SeccompCmpArgLen::Dword,
        SeccompCmpOp::MaskedEq(thread),
        0,
    )?;
    let mut rules = BTreeMap::from([
        (libc::SYS_execve, vec![]),
        (libc::SYS_execveat, vec![]),
        (libc::SYS_clone, vec![SeccompRule::new(vec![is_no_thread])?]),
    ]);
    #[cfg(target_arch = "x86_64")]
    rules.extend([(libc::SYS_fork, vec![]), (libc::SYS_vfork, vec![])]);
    Ok(rules)
}

/// The calls that make sockets to other hosts, or could behind the filter's back.
fn no_network() -> Result<Rules, Box<dyn Error>> {
    let local = u64::from(libc::AF_UNIX.unsigned_abs());
    let is_another = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, local)?;
    Ok(BTreeMap::from([
        (libc::SYS_socket, vec![SeccompRule::new(vec![is_another])?]),
        (libc::SYS_io_uring_setup, vec![]),
    ]))
}

/// Has these calls fail so from now on; or says that the kernel, or the crate, cannot do that here.
fn filter(calls: Rules, with: i32) -> Result<Option<String>, Box<dyn Error>> {
    let missing = || {
        let what = "seccomp is not to be had here: processes and sockets are not restricted";
        Ok(Some(what.to_owned()))
    };
    let Ok(here) = TargetArch::try_from(std::env::consts::ARCH) else {
        return missing();
    };
    let fail = SeccompAction::Errno(with.unsigned_abs());
    let filter = SeccompFilter::new(calls, SeccompAction::Allow, fail, here)?;
    let program: BpfProgram = filter.try_into()?;
    match seccompiler::apply_filter(&program) {
        Ok(()) => Ok(None),
        Err(seccompiler::Error::Seccomp(error) | seccompiler::Error::Prctl(error))
            if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS)) =>
        {
            missing()
        }
        Err(error) => Err(error.into()),
    }
}
