//! What is missing on this host, or does not fit it: each in one line, with what works all the
//! same.

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use lpm_sbm::InterfaceName;

use super::host::bandwidth;
use super::netlink::{Link, Netlink};
use super::traffic::{self, Root};
use crate::config::Config;

/// Whether a program of this network namespace has a raw socket of RSVP. To be asked before there
/// are own ones.
#[must_use]
pub fn has_other_node() -> bool {
    ["raw", "raw6"].iter().any(|table| {
        let sockets = fs::read_to_string(format!("/proc/self/net/{table}"));
        sockets.is_ok_and(|sockets| is_open(&sockets))
    })
}

/// Whether one of these sockets is of protocol 46.
fn is_open(sockets: &str) -> bool {
    let local = |line: &str| line.split_whitespace().nth(1).map(str::to_owned);
    let mut local = sockets.lines().skip(1).filter_map(local);
    local.any(|address| address.ends_with(":002E"))
}

/// What is missing on this host.
#[must_use]
pub fn on_host(config: &Config, links: &[Link], has_other_node: bool) -> Vec<String> {
    let mut lacking = Vec::new();
    if has_other_node {
        lacking.push(
            "another program here has a raw socket of RSVP open: two nodes on one host both forward each Path, and take \
             away each other's reservations in the kernel"
                .to_owned(),
        );
    }
    let addresses = || links.iter().flat_map(|link| &link.interface.addresses);
    for (is_used, setting) in [
        (true, "net.ipv4.ip_forward"),
        (
            addresses()
                .any(|address| matches!(address, IpAddr::V6(own) if !own.is_unicast_link_local())),
            "net.ipv6.conf.all.forwarding",
        ),
    ] {
        let path = format!("/proc/sys/{}", setting.replace('.', "/"));
        let forwards = fs::read_to_string(path);
        if is_used && forwards.is_ok_and(|forwards| forwards.trim() == "0") {
            lacking.push(format!(
                "{setting} is 0: Path messages for other hosts do not reach pcm; messages for this host do"
            ));
        }
    }
    let status = fs::read_to_string("/proc/self/status");
    if config.run.enforce && status.is_ok_and(|status| !may_reserve(&status)) {
        lacking.push(
            "CAP_NET_ADMIN is missing: nothing can be reserved in the kernel, and with `enforce` each Resv is refused with \
             error 22; Paths go on"
                .to_owned(),
        );
    }
    lacking
}

/// Whether a process of which the kernel says this has CAP_NET_ADMIN.
fn may_reserve(status: &str) -> bool {
    const CAP_NET_ADMIN: u32 = 12;
    let mut lines = status.lines();
    let effective = lines.find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
    effective.is_none_or(|set| set & (1 << CAP_NET_ADMIN) != 0)
}

/// What keeps the kernel from reserving, and what stands in its way on these links.
pub fn in_kernel(netlink: &mut Netlink, config: &Config, links: &[Link]) -> Vec<String> {
    let run = &config.run;
    let mut lacking = Vec::new();
    if run.enforce {
        let modules = [
            ("sch_htb", traffic::has_htb(netlink)),
            ("cls_u32", has_module("cls_u32")),
        ];
        let missing = modules
            .into_iter()
            .filter(|(_, is_there)| *is_there == Some(false));
        lacking.extend(missing.map(|(module, _)| {
            format!(
                "the kernel does not have {module}: nothing can be reserved in it, and with `enforce` each Resv is refused \
                 with error 22; Paths go on"
            )
        }));
    }
    for link in links {
        let is_enforced = run.enforce && bandwidth(config, link).is_some();
        if let Ok(root) = traffic::root(netlink, link.interface.index) {
            lacking.extend(at_root(&link.name, root, is_enforced, run.replace_qdisc));
        }
    }
    lacking
}

/// What there is to say of the root of a link.
fn at_root(link: &str, root: Root, is_enforced: bool, is_replacing: bool) -> Option<String> {
    match root {
        Root::Other(kind) if is_enforced && !is_replacing => Some(format!(
            "{link} has a {kind} qdisc that somebody else put there: each Resv for it is refused with error 22, unless \
             `replace_qdisc = true` in [run] lets pcm replace it"
        )),
        Root::Own if !is_enforced => Some(format!(
            "{link} is still limited by classes that an earlier pcm run left there, and nothing is enforced on it now: \
             `tc qdisc del dev {link} root` takes them away"
        )),
        _ => None,
    }
}

/// Whether the kernel has a module, in itself or in a file; `None` if its list of modules is not to
/// be seen, as in a container.
fn has_module(name: &str) -> Option<bool> {
    let loaded = fs::read_to_string("/proc/modules").unwrap_or_default();
    if is_loaded(&loaded, name) {
        return Some(true);
    }
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
    let folder = Path::new("/lib/modules").join(release.trim());
    let files = fs::read_to_string(folder.join("modules.dep")).ok()?;
    let built_in = fs::read_to_string(folder.join("modules.builtin")).ok()?;
    Some(is_file(&files, name) || is_file(&built_in, name))
}

/// Whether this is among the modules of /proc/modules.
fn is_loaded(modules: &str, name: &str) -> bool {
    let mut modules = modules.lines();
    modules.any(|line| line.split(' ').next() == Some(name))
}

/// Whether this is among the modules of modules.dep or modules.builtin.
fn is_file(modules: &str, name: &str) -> bool {
    modules.contains(&format!("/{name}.ko"))
}

/// What of a configuration comes to nothing with these links.
#[must_use]
pub fn of_configuration(config: &Config, links: &[Link]) -> Vec<String> {
    let run = &config.run;
    let mut lacking = Vec::new();
    if links.is_empty() && run.interfaces.is_empty() {
        lacking.push("no interface is up yet: waiting for one".to_owned());
    }
    for (key, names) in [
        ("interfaces", &run.interfaces),
        ("udp_interfaces", &run.udp_interfaces),
    ] {
        let is_up = |name: &&String| links.iter().any(|link| link.name == **name);
        for name in names.iter().filter(|name| !is_up(name)) {
            lacking.push(match name.as_str() {
                "lo" => format!("`{key}` in [run] names \"lo\": RSVP never runs on the loopback"),
                _ => {
                    format!("`{key}` in [run] names {name:?}, which is not up here: waiting for it")
                }
            });
        }
    }
    for (name, _) in &config.sbm.interfaces {
        let is_here = match name {
            InterfaceName::Any => true,
            InterfaceName::Index(index) => links.iter().any(|link| link.interface.index == *index),
            InterfaceName::Address(address) => links
                .iter()
                .any(|link| link.interface.addresses.contains(address)),
        };
        if !is_here {
            lacking.push(format!(
                "[interface.\"{name}\"] is none of the interfaces that RSVP runs on: its bandwidth counts for nothing until it is"
            ));
        }
    }
    if !run.enforce {
        lacking.push(
            "`enforce` is off: what is granted is only counted, and not reserved in the kernel"
                .to_owned(),
        );
    } else if config.sbm.interfaces.is_empty() {
        lacking.push(
            "`enforce` is on, but no [interface] table says a `bandwidth`: nothing can be reserved"
                .to_owned(),
        );
    }
    lacking
}

/// What is different now about the links that RSVP runs on.
pub(super) fn changes(old: &[Link], new: &[Link]) -> Vec<String> {
    let is_in = |links: &[Link], link: &Link| links.iter().any(|other| other.name == link.name);
    let gone = old.iter().filter(|link| !is_in(new, link));
    let gone = gone.map(|link| format!("RSVP no longer on {}: it is down or gone", link.name));
    let here = new.iter().filter(|link| !old.contains(link));
    gone.chain(here.map(on)).collect()
}

/// That RSVP runs on a link.
#[must_use]
pub fn on(link: &Link) -> String {
    format!("RSVP on {} {:?}", link.name, link.interface.addresses)
}

#[cfg(test)]
mod tests {
    use lpm_sbm::NodeInterface;

    use super::*;

    fn config(tables: &str) -> Config {
        let text = format!("[[lpm]]\nname = 'a'\nlibrary = 'x'\n{tables}\n");
        Config::parse(Path::new("pcm.toml"), &text).unwrap()
    }

    fn link(name: &str, index: u32, address: [u8; 4]) -> Link {
        Link {
            name: name.to_owned(),
            interface: NodeInterface {
                index,
                addresses: vec![address.into()],
                mtu: 1500,
            },
            prefix_lengths: vec![24],
        }
    }

    #[test]
    fn names_that_fit_nothing_are_said() {
        let links = [link("eth0", 2, [10, 0, 0, 1])];
        let tables = "[run]\nenforce = true\ninterfaces = ['eth0', 'etth1']\nudp_interfaces = ['eth2', 'lo']\n\
                      [interface.2]\nbandwidth = '1 Mbit/s'\n[interface.3]\nbandwidth = '1 Mbit/s'\n\
                      [interface.'10.0.0.1']\nbandwidth = '1 Mbit/s'\n[interface.'10.0.0.7']\nbandwidth = '1 Mbit/s'\n\
                      [interface.'*']\nbandwidth = '1 Mbit/s'";
        let lacking = of_configuration(&config(tables), &links).join("\n");
        assert_eq!(lacking.lines().count(), 5, "{lacking}");
        for part in [
            "`interfaces` in [run] names \"etth1\"",
            "`udp_interfaces` in [run] names \"eth2\"",
            "`udp_interfaces` in [run] names \"lo\": RSVP never runs",
            "[interface.\"3\"]",
            "[interface.\"10.0.0.7\"]",
        ] {
            assert!(lacking.contains(part), "{part}: {lacking}");
        }
        let fits = config("[run]\nenforce = true\n[interface.2]\nbandwidth = '1 Mbit/s'");
        assert_eq!(of_configuration(&fits, &links), [""; 0]);
        assert!(of_configuration(&fits, &[])[0].starts_with("no interface is up yet"));
    }

    #[test]
    fn modules_are_found_in_the_lists_of_them() {
        let files =
            "kernel/net/sched/cls_u32.ko.zst:\nkernel/net/sched/sch_htb.ko: kernel/lib/x.ko\n";
        assert!(is_file(files, "cls_u32") && is_file(files, "sch_htb"));
        assert!(!is_file(files, "u32") && !is_file("", "cls_u32"));
        let loaded = "cls_u32 28672 1 - Live 0x0\n";
        assert!(is_loaded(loaded, "cls_u32"));
        assert!(!is_loaded(loaded, "cls_u3") && !is_loaded(loaded, "sch_htb"));
    }

    #[test]
    fn what_stands_at_the_root_of_a_link_is_said_where_it_matters() {
        let tbf = || Root::Other("tbf".to_owned());
        let said = at_root("eth0", tbf(), true, false).unwrap();
        assert!(said.starts_with("eth0 has a tbf qdisc"), "{said}");
        assert_eq!(at_root("eth0", tbf(), true, true), None);
        assert_eq!(at_root("eth0", tbf(), false, false), None);
        let said = at_root("eth0", Root::Own, false, false).unwrap();
        assert!(said.contains("`tc qdisc del dev eth0 root`"), "{said}");
        assert_eq!(at_root("eth0", Root::Own, true, false), None);
        assert_eq!(at_root("eth0", Root::Default, true, false), None);
    }

    #[test]
    fn links_that_come_and_go_are_said() {
        let [one, other] = [
            link("eth0", 2, [10, 0, 0, 1]),
            link("eth1", 3, [10, 0, 1, 1]),
        ];
        let moved = link("eth0", 2, [10, 0, 9, 1]);
        let before = [one, other];
        assert_eq!(changes(&[], &before[..1]), ["RSVP on eth0 [10.0.0.1]"]);
        assert_eq!(
            changes(&before, &[moved]),
            [
                "RSVP no longer on eth1: it is down or gone",
                "RSVP on eth0 [10.0.9.1]"
            ]
        );
        assert_eq!(changes(&before, &before), [""; 0]);
    }

    #[test]
    fn the_kernel_is_read() {
        let sockets = "  sl  local_address rem_address\n  46: 00000000:002E 00000000:0000 07\n";
        assert!(is_open(sockets));
        assert!(!is_open(&sockets.replace("002E", "0001")));
        assert!(!is_open(""));
        assert!(may_reserve("Name:\tpcm\nCapEff:\t0000000000003000\n"));
        assert!(!may_reserve("Name:\tpcm\nCapEff:\t0000000000002000\n"));
    }
}
