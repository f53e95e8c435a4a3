//! How a runner confines itself, before any code of its library runs. It has one thread then; those
//! that come have the same bounds.

use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, path_beneath_rules,
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

/// What the kernel cannot do of that. Nothing of this process changes.
pub(super) fn lacks(to: &Confinement) -> Vec<String> {
    let mut lacks = Vec::new();
    let (files, network) = (to.files.is_some(), to.no_network);
    let has = |files, network, rules| could_restrict(files, network, rules).is_ok();
    if (files || network) && !has(files, network, RULES) {
        let has_some = files && has(true, false, ABI::V1);
        lacks.push(not_restricted(has_some, files, network));
    }
    // SAFETY: it asks, and takes no pointers.
    let has_seccomp = unsafe { libc::prctl(libc::PR_GET_SECCOMP) } != -1;
    let is_known = TargetArch::try_from(std::env::consts::ARCH).is_ok();
    if (to.no_new_processes || network) && !(has_seccomp && is_known) {
        lacks.push(NO_SECCOMP.to_owned());
    }
    lacks
}

/// Makes these rules, all of them, and puts them to no use.
fn could_restrict(files: bool, network: bool, rules: ABI) -> Result<(), RulesetError> {
    let mut made = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    if files {
        made = made.handle_access(AccessFs::from_all(rules))?;
    }
    if network {
        made = made.handle_access(AccessNet::from_all(rules))?;
    }
    made.create().map(drop)
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
    let has_some = match rules.restrict_self()?.ruleset {
        RulesetStatus::FullyEnforced => return Ok(None),
        RulesetStatus::PartiallyEnforced => true,
        _ => false,
    };
    Ok(Some(not_restricted(has_some, files.is_some(), no_network)))
}

fn not_restricted(has_some: bool, files: bool, network: bool) -> String {
    let what = match has_some {
        true => "some of Landlock's rules",
        false => "no Landlock",
    };
    let open = match (files, network) {
        (true, true) => "files and TCP",
        (true, false) => "files",
        _ => "TCP",
    };
    format!("this kernel has {what}: {open} are not restricted as configured")
}

const NO_SECCOMP: &str = "seccomp is not to be had here: processes and sockets are not restricted";

type Rules = BTreeMap<libc::c_long, Vec<SeccompRule>>;

/// The calls that make processes.
fn no_new_processes() -> Result<Rules, Box<dyn Error>> {
    let thread = u64::from(libc::CLONE_THREAD.unsigned_abs());
    let is_no_thread = SeccompCondition::new(
        0,
        SeccompCmpArgLen::Dword,
        SeccompCmpOp::MaskedEq(thread),
        0,
    )?;
    let rules = [
        (libc::SYS_execve, vec![]),
        (libc::SYS_execveat, vec![]),
        (libc::SYS_clone, vec![SeccompRule::new(vec![is_no_thread])?]),
    ];
    #[cfg(target_arch = "x86_64")]
    let rules = rules.into_iter().chain([
        (libc::SYS_fork, vec![]),
        (libc::SYS_vfork, vec![]),
        (X32_EXECVE, vec![]),
        (X32_EXECVEAT, vec![]),
    ]);
    Ok(Rules::from_iter(rules))
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

/// Added to the number of a call: where a kernel has the ABI x32, the same call.
#[cfg(target_arch = "x86_64")]
const X32: i64 = 0x4000_0000;
/// Those that have a number of their own there.
#[cfg(target_arch = "x86_64")]
const X32_EXECVE: i64 = X32 + 520;
#[cfg(target_arch = "x86_64")]
const X32_EXECVEAT: i64 = X32 + 545;

/// Has these calls fail so from now on; or says that the kernel, or the crate, cannot do that here.
fn filter(calls: Rules, with: i32) -> Result<Option<String>, Box<dyn Error>> {
    let missing = || Ok(Some(NO_SECCOMP.to_owned()));
    let Ok(here) = TargetArch::try_from(std::env::consts::ARCH) else {
        return missing();
    };
    #[allow(clippy::useless_conversion, reason = "the width depends on the target")]
    let calls = calls
        .into_iter()
        .map(|(call, rules)| (i64::from(call), rules));
    #[cfg(target_arch = "x86_64")]
    let calls = calls.flat_map(|(call, rules)| [(call | X32, rules.clone()), (call, rules)]);
    let fail = SeccompAction::Errno(with.unsigned_abs());
    let filter = SeccompFilter::new(calls.collect(), SeccompAction::Allow, fail, here)?;
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

#[cfg(all(test, not(loom), target_arch = "x86_64"))]
mod tests {
    use std::thread;

    use super::*;

    /// Where the kernel does not have them, the filter is asked all the same.
    #[test]
    fn a_call_is_filtered_under_each_of_its_numbers() {
        // A filter is that of a thread.
        let filtered = thread::spawn(|| {
            let processes = filter(no_new_processes().unwrap(), libc::EPERM).unwrap();
            let network = filter(no_network().unwrap(), libc::EACCES).unwrap();
            if processes.or(network).is_some() {
                // This kernel has no filters.
                return None;
            }
            let calls = [
                libc::SYS_execve,
                X32_EXECVE,
                X32_EXECVEAT,
                libc::SYS_socket,
                libc::SYS_socket + X32,
            ];
            Some(calls.map(|call| {
                // A domain that is not AF_UNIX, or no program.
                let none = 0_usize;
                // SAFETY: what runs a program is given none, and all else is a number.
                let done = unsafe { libc::syscall(call, none, none, none) };
                assert_eq!(done, -1);
                io::Error::last_os_error().raw_os_error()
            }))
        });
        let (process, network) = (Some(libc::EPERM), Some(libc::EACCES));
        let expected = [process, process, process, network, network];
        assert_eq!(filtered.join().unwrap().unwrap_or(expected), expected);
    }
}
